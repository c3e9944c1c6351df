/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/unit/unit.h"

#include "lua/turns.h"

TEST("lua turns: one takes a turn, and a reload does not put it off")
{
    uint64_t look = 0;
    struct turn *a = turn_get("job"), *b = turn_get("job"), *c = turn_get("other");
    EXPECT(a == b && a != c);
    EXPECT_EQ(turn_plan(a, 100), 100);
    EXPECT_EQ(turn_plan(b, 500), 100); /* loaded later: the plan stands */
    EXPECT_EQ(turn_plan(b, 50), 50);   /* a shorter interval */
    EXPECT(!turn_take(a, 49, 149, &look) && look == 50);
    EXPECT(turn_take(a, 50, 150, &look));
    EXPECT(!turn_take(b, 50, 150, &look) && look == 150);
    EXPECT(!turn_take(b, 200, 300, &look) && look > 200); /* it still runs */
    EXPECT_EQ(turn_give(a, 0), 150);
    EXPECT(turn_take(b, 200, 300, &look));
    EXPECT_EQ(turn_give(b, 250), 250);
    turn_put(a);
    EXPECT_EQ(turn_plan(b, 1000), 250);
    turn_put(b);
    turn_put(c);
    a = turn_get("job");
    EXPECT_EQ(turn_plan(a, 1000), 1000);
    turn_put(a);
}
