/* SPDX-License-Identifier: Apache-2.0 */
#include "http/chars.h"

#define V CHAR_VALUE                                          /* a blank, or past ASCII */
#define T (CHAR_VALUE | CHAR_TARGET)                          /* "(),/:;<=>?@[\]{} */
#define K (CHAR_VALUE | CHAR_TARGET | CHAR_TOKEN)             /* ^`|# are in no host */
#define H (CHAR_VALUE | CHAR_TARGET | CHAR_HOST)              /* ():;=[] */
#define A (CHAR_VALUE | CHAR_TARGET | CHAR_TOKEN | CHAR_HOST) /* letters, most marks */
#define D (A | CHAR_DIGIT)
#define F (CHAR_VALUE | CHAR_TOKEN) /* # */

/* clang-format off */
const uint8_t http_chars[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, V, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
/*     !  "  #  $  %  &  '  (  )  *  +  ,  -  .  / */
    V, A, T, F, A, A, A, A, H, H, A, A, T, A, A, T,
/*  0  1  2  3  4  5  6  7  8  9  :  ;  <  =  >  ? */
    D, D, D, D, D, D, D, D, D, D, H, H, T, H, T, T,
/*  @  A … O */
    T, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
/*  P … Z                             [  \  ]  ^  _ */
    A, A, A, A, A, A, A, A, A, A, A, H, T, H, K, A,
/*  `  a … o */
    K, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A,
/*  p … z                             {  |  }  ~ */
    A, A, A, A, A, A, A, A, A, A, A, T, K, T, A, 0,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
    V, V, V, V, V, V, V, V, V, V, V, V, V, V, V, V,
};
/* clang-format on */
