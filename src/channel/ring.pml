/* SPDX-License-Identifier: Apache-2.0
 *
 * A model of how ring.h sleeps and wakes, for `spin`: every interleaving of one producer and one consumer, with the four
 * accesses that matter in the order of the code. They are sequentially consistent there, as all is in this language.
 * The wake-ups are bytes on a socket, of which recv() takes one.
 *
 *   spin -a ring.pml && cc -o pan pan.c && ./pan      errors: 0
 *
 * A lost wake-up would be a consumer that waits for ever with records there, which is an invalid end state. With
 * spin -DBROKEN the consumer looks before it says that it sleeps, and there is one: the model can fail.
 */
#define RECORDS 4

byte tail = 0;      /* records put in */
byte head = 0;      /* records taken out */
bit sleeping = 1;   /* nobody looks at first */
byte wakes = 0;     /* sent and not yet received */

active proctype producer() {
  bit was;
  do
  :: tail < RECORDS ->
     tail++;                       /* push(): the store of tail */
     if
     :: sleeping ->                /* take_wake(): the load ... */
        atomic { was = sleeping; sleeping = 0 }  /* ... and the exchange */
        if
        :: was -> wakes++          /* send() */
        :: else
        fi
     :: else
     fi
  :: else -> break
  od
}

active proctype consumer() {
  bit something;
  do
  :: head == RECORDS -> break
  :: head < RECORDS ->
     if
     :: tail != head -> head++     /* pop() */
     :: tail == head ->            /* nothing: spin a while (do so again), or sleep */
        if
        :: skip
        :: skip ->
#ifdef BROKEN
           something = (tail != head);
           sleeping = 1;
#else
           sleeping = 1;           /* arm(): the store ... */
           something = (tail != head);  /* ... and the load */
#endif
           if
           :: something -> sleeping = 0       /* disarm() */
           :: else ->
              wakes > 0;           /* poll() */
              sleeping = 0;        /* woken(): disarm(), ... */
              wakes--              /* ... recv() */
           fi
        fi
     fi
  od
}
