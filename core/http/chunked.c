/* SPDX-License-Identifier: Apache-2.0 */
#include "http/chunked.h"

#include "http/chars.h"

#define DIGITS_MAX 16
#define EXTENSION_MAX 256

enum state {
    SIZE,       /* the digits of a size line */
    EXTENSION,  /* behind the ';' */
    SIZE_LF,    /* the LF of a size line */
    DATA,       /* c->left bytes of data */
    DATA_CR,    /* the CRLF behind the data */
    DATA_LF,    /* */
    LINE,       /* the first byte of a trailer line, or the CR of the empty line */
    NAME,       /* of a trailer */
    VALUE,      /* of a trailer */
    TRAILER_LF, /* the LF of a trailer line */
    LAST_LF,    /* the LF of the empty line */
};

void chunked_init(struct chunked *c)
{
    *c = (struct chunked){.state = SIZE};
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int on_size(struct chunked *c, char ch)
{
    int digit = hex(ch);
    if (digit >= 0) {
        if (c->digits == DIGITS_MAX || c->left > INT64_MAX >> 4)
            return HTTP_FAULT_CHUNK_SIZE;
        c->digits++;
        c->left = c->left << 4 | (uint64_t)digit;
        return 0;
    }
    if (c->digits == 0 || (ch != '\r' && ch != ';'))
        return HTTP_FAULT_CHUNK_SIZE;
    c->state = ch == ';' ? EXTENSION : SIZE_LF;
    c->extension = 0;
    return 0;
}

static int on_extension(struct chunked *c, char ch)
{
    if (ch == '\r') {
        c->state = SIZE_LF;
        return 0;
    }
    if (!http_char_is(ch, CHAR_VALUE) || ++c->extension > EXTENSION_MAX)
        return HTTP_FAULT_CHUNK_EXTENSION;
    return 0;
}

static int on_size_lf(struct chunked *c, char ch)
{
    if (ch != '\n')
        return HTTP_FAULT_CHUNK_SIZE;
    c->state = c->left ? DATA : LINE;
    return 0;
}

static int on_data_cr(struct chunked *c, char ch)
{
    c->state = DATA_LF;
    return ch == '\r' ? 0 : HTTP_FAULT_CHUNK_END;
}

static int on_data_lf(struct chunked *c, char ch)
{
    c->state = SIZE;
    c->digits = 0;
    return ch == '\n' ? 0 : HTTP_FAULT_CHUNK_END;
}

static int on_line(struct chunked *c, char ch)
{
    c->state = ch == '\r' ? LAST_LF : NAME;
    return ch == '\r' || http_char_is(ch, CHAR_TOKEN) ? 0 : HTTP_FAULT_TRAILER;
}

static int on_name(struct chunked *c, char ch)
{
    if (ch == ':')
        c->state = VALUE;
    return ch == ':' || http_char_is(ch, CHAR_TOKEN) ? 0 : HTTP_FAULT_TRAILER;
}

static int on_value(struct chunked *c, char ch)
{
    if (ch == '\r')
        c->state = TRAILER_LF;
    return ch == '\r' || http_char_is(ch, CHAR_VALUE) ? 0 : HTTP_FAULT_TRAILER;
}

static int on_trailer_lf(struct chunked *c, char ch)
{
    c->state = LINE;
    return ch == '\n' ? 0 : HTTP_FAULT_TRAILER;
}

static int on_last_lf(struct chunked *c, char ch)
{
    c->done = true;
    return ch == '\n' ? 0 : HTTP_FAULT_TRAILER;
}

static int step(struct chunked *c, char ch)
{
    static int (*const steps[])(struct chunked *, char) = {
        [SIZE] = on_size,       [EXTENSION] = on_extension,
        [SIZE_LF] = on_size_lf, [DATA_CR] = on_data_cr,
        [DATA_LF] = on_data_lf, [LINE] = on_line,
        [NAME] = on_name,       [VALUE] = on_value,
        [LAST_LF] = on_last_lf, [TRAILER_LF] = on_trailer_lf,
    };
    if (c->state >= LINE && ++c->trailers > HTTP_HEAD_MAX)
        return HTTP_FAULT_TRAILERS_LONG;
    return steps[c->state](c, ch);
}

int chunked_decode(struct chunked *c, const char *in, size_t n, size_t *used,
                   const char **data, size_t *data_n)
{
    size_t i = 0;
    int rc = 0;
    *data = NULL;
    *data_n = 0;
    while (rc == 0 && i < n && !c->done && c->state != DATA)
        rc = step(c, in[i++]);
    if (rc == 0 && i < n && c->state == DATA) {
        uint64_t run = n - i;
        *data = in + i;
        *data_n = (size_t)(run < c->left ? run : c->left);
        chunked_took(c, *data_n);
        i += *data_n;
    }
    *used = i;
    return rc;
}

uint64_t chunked_run(const struct chunked *c)
{
    return c->state == DATA ? c->left : 0;
}

void chunked_took(struct chunked *c, uint64_t n)
{
    assert(c->state == DATA && n <= c->left);
    c->left -= n;
    if (c->left == 0)
        c->state = DATA_CR;
}
