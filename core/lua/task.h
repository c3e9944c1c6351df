/* SPDX-License-Identifier: Apache-2.0
 *
 * A task: one coroutine, what it waits for and what it holds. The only lua_resume and the
 * only lua_yield of the program are in task.c.
 *
 * A wait. A C function that waits checks its arguments, asks task_may_wait, takes room
 * for what the operation needs by task_room, starts the operation and returns
 * task_wait(). When the operation is over, on the task's worker and from the run queue,
 * it calls task_wake, which resumes the coroutine. There the library calls core.result():
 * it runs kind->result inside the coroutine, where raising is harmless, and then
 * kind->drop. So every waiting function is used as result(f(…)). An operation that fails
 * before it starts returns 0 instead of task_wait(); core.result() then tells.
 *
 * An operation that is over at once needs no wait either: it returns 0, too, as long as
 * task_may_go_on says so.
 *
 * The arguments of the C function stay on the coroutine's stack during the wait, so
 * strings may be lent to the operation.
 *
 * Cancel. task_cancel asks the operation to stop; when it did, core.result() says
 * CANCELLED, and so does every later wait: a script may catch the error and clean up, but
 * it cannot wait.
 *
 * Deadlines. A wait that lasts longer than vm->wait_max is asked to stop in the same way
 * and says TIMEOUT; the task goes on and may wait again. Where the kind allows it
 * (t->leave), the task does not wait for that to happen: an heir, a task that runs no
 * code, keeps the room until the operation is over. Otherwise an operation that cannot be
 * stopped keeps its task as long as it takes.
 *
 * A slice that is late (watch.h) is stopped by task_stop: the coroutine yields for ever,
 * which no pcall of the script can catch, and the task is over.
 *
 * Holds are what the task has open: sources, sinks, the request. They are released, the
 * newest first, when the coroutine has ended (box.h).
 */
#ifndef LUA_TASK_H
#define LUA_TASK_H

#include "lua/vm.h"

#define TASK_MAGIC 0x7A5C0000U

struct wait_kind {
    const char *name; /* "store:open" */
    /* Pushes true and the results, or calls task_failure. May raise. */
    int (*result)(lua_State *L, void *room);
    void (*cancel)(void *room); /* asks; task_wake still follows */
    void (*drop)(void *room);   /* frees what the room holds; NULL: nothing */
};

struct task {
    unsigned magic;
    struct vm *vm;
    lua_State *L; /* the coroutine */
    int ref;      /* its anchor in the registry; both outlive a request that ended well */
    struct list link;
    struct list holds;
    void *owner;
    void (*ended)(struct task *t, int status);

    const struct wait_kind *kind; /* of the room in use; NULL: none */
    void *room;
    size_t room_n;
    uint64_t since; /* clock_now() when the coroutine last stood still */
    /* Whether the wait has got on since this was asked before: then it has not lasted too
     * long yet. NULL: it has. task_arm resets it. */
    bool (*moves)(void *room);
    /* Makes the operation answer to the heir instead. NULL: impossible. task_arm resets
     * it. */
    void (*leave)(void *room, struct task *heir);
    uint64_t due; /* when the wait will have lasted too long */
    bool waiting, cancelled, timed_out, is_heir, over;
    bool readonly;   /* it began when the gateway was: it may not change a store */
    char *stopped;   /* where its code was when the watchdog stopped it; or NULL */
    int status;      /* once over */
    unsigned streak; /* operations over at once since the last resume */
    /* for its lines of the log; borrowed, NULL: none */
    const char *id, *job, *upload;
};

/* Starts a coroutine: push(L, arg) pushes a function and its arguments on the main state
 * and returns their number; it may raise. ended(t, status) is called once, perhaps from
 * inside, when the coroutine is over: its results, or its error value, are then on
 * t->L's stack, and all holds are released. 0, or E_NO_SPACE when the VM has no memory
 * for one more: then ended is not called. */
int task_start(struct vm *vm, int (*push)(lua_State *L, struct task *t),
               void (*ended)(struct task *t, int status), void *owner, struct task **out);
/* Once, after ended. Takes t; nothing on its stack may be used from here on. */
void task_free(struct task *t);
/* Frees the tasks that are kept for later, but not their coroutines: the VM is about to
 * go. */
void task_forget(struct vm *vm);

/* Raises unless the running code may wait; the error names the call. Returns the task. */
struct task *task_may_wait(lua_State *L, const char *name);
/* n bytes for the next wait, not zeroed, or NULL if the task is cancelled (then return
 * 0 at once). kind->drop will be called for them, at the latest when the task ends. */
void *task_room(struct task *t, size_t n);
/* From here on core.result() belongs to this kind. Call it once the room is in a state
 * that drop understands. */
void task_arm(struct task *t, const struct wait_kind *kind);
/* For `moves` of a wait that may last: what is waited for has a deadline of its own. */
bool task_is_patient(void *room);
/* Instead of a wait, before anything was started: core.result() will tell rc. Returns
 * 0. */
int task_refuse(struct task *t, int rc);
/* The last thing that a waiting function does. */
int task_wait(lua_State *L, struct task *t);
/* Whether an operation that is over at once may be answered without giving others their
 * turn; so many times in a row. */
bool task_may_go_on(struct task *t);
/* The operation is over. From the run queue of the task's worker only. */
void task_wake(struct task *t);
/* Harmless when the task is over or cancelled. */
void task_cancel(struct task *t);
/* Says in the log how a coroutine died that its own code could not save: of a lack of
 * memory, by stopping itself, or by a mistake in an error handler. In `ended`. */
void task_log_death(struct task *t, int status);
/* Pushes false, name, message, status for an error code; returns 4. */
int task_failure(lua_State *L, int rc);

/* For the VM: the hook of a slice that is late, and the end of the time that the wait
 * which began first may take. */
void task_stop(lua_State *L, lua_Debug *ar);
void task_late(struct timer *timer);

/* core.result, core.pure */
void l_task_open(lua_State *L);

#endif
