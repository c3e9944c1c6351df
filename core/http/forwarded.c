/* SPDX-License-Identifier: Apache-2.0 */
#include "http/forwarded.h"

/* The last element of a list, which is cut off. Read from the right, because the left is
 * the client's: a quote that it leaves open must not swallow what our proxy wrote. */
static struct span cut_last(struct span *list)
{
    bool quoted = false;
    size_t at = list->n;
    while (at > 0 && (quoted || list->p[at - 1] != ',')) {
        at--;
        if (list->p[at] == '"')
            quoted = !quoted;
    }
    struct span last = {list->p + at, list->n - at};
    list->n = at > 0 ? at - 1 : 0;
    return span_trim(last);
}

/* The value of a parameter of an element of Forwarded, without its quotes; empty without
 * one. Escapes have no place in what is asked for here. */
static struct span parameter(struct span element, const char *name)
{
    while (element.p && element.n) {
        struct span value = span_trim(span_cut(&element, ';'));
        struct span key = span_cut(&value, '=');
        if (!value.p || !span_is_nocase(key, name))
            continue;
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            return (struct span){value.p + 1, value.n - 2};
        return value;
    }
    return (struct span){NULL, 0};
}

void forwarded_for(const struct http_head *head, enum forwarded which,
                   const struct net_range *trust, size_t n_trust, struct net_addr *from)
{
    const char *name = which == FORWARDED_X ? "x-forwarded-for" : "forwarded";
    for (size_t i = head->n_headers; which && i-- > 0;) {
        struct span list = head->headers[i].value;
        if (!span_is_nocase(head->headers[i].name, name))
            continue;
        while (list.n) {
            struct span last = cut_last(&list);
            struct net_addr next;
            if (which == FORWARDED_RFC)
                last = parameter(last, "for");
            if (!net_in(trust, n_trust, from) || net_parse(last, &next) != 0 ||
                next.local)
                return;
            *from = next;
        }
    }
}

void forwarded_proto(const struct http_head *head, enum forwarded which, bool *secure)
{
    const char *name = which == FORWARDED_X ? "x-forwarded-proto" : "forwarded";
    for (size_t i = head->n_headers; which && i-- > 0;) {
        struct span list = head->headers[i].value;
        if (!span_is_nocase(head->headers[i].name, name))
            continue;
        struct span proto = cut_last(&list);
        if (which == FORWARDED_RFC)
            proto = parameter(proto, "proto");
        if (span_is_nocase(proto, "https"))
            *secure = true;
        else if (span_is_nocase(proto, "http"))
            *secure = false;
        return;
    }
}
