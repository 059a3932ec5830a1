/** The numbers of failure detection; defaults are those of memberlist for a LAN. */
import { defaultSuspicion, type SuspicionOptions } from "./Suspicion.ts"

/** Times in milliseconds. */
export interface MembershipOptions {
  /**
   * Between two probes of one subject, where up to three observe it; the more do, the longer: each member gets three
   * in this time. Shorter: faster detection, more messages.
   */
  readonly interval: number
  /** For the answer to a probe; multiplied by this node's awareness plus one. */
  readonly timeout: number
  /** Other members asked to try when a probe failed. */
  readonly helpers: number
  /**
   * For the answer to a probe that another member asked for; multiplied by this node's awareness plus one.
   * Shorter than for its own: it observes the subject and has a connection, and somebody waits.
   */
  readonly helperTimeout: number
  /**
   * A connection to one that has not answered for so long is given up; multiplied by this node's awareness
   * plus one. TCP waits as long again as it has waited: after a cut of a minute for up to another.
   */
  readonly giveUp: number
  readonly suspicion: SuspicionOptions
  /** Between two looks at the clock, of which those are left out that would find nothing to do. */
  readonly tick: number
  /**
   * What is due within this time is done where the node is awake for something else: the ping of another, an answer.
   * Who is about to ping wakes once, and not twice. Longer, and the pings of observers are no longer at even distances:
   * with 200 a silent host of 1,000 was suspected by all after 2.5 s, and after 2.1 with 100 and with none.
   */
  readonly early: number
  /** Between two repetitions of an accusation, in case gossip lost it. */
  readonly repeat: number
  /** As often as it was refuted by a member that does not answer it, an observer waits twice as long, up to this. */
  readonly longestRepeat: number
  /**
   * Instead of `longestRepeat`, where all who watch the member say that they do not reach it either: nobody
   * else would notice that it has died since. Longer than one that was wrong is not believed alone (`doubtFor`).
   */
  readonly longestUnseen: number
  /** Between two tries to reach some dead member. */
  readonly retryDead: number
  /** Between two requests for others' evidence. */
  readonly pull: number
}

export const defaultMembershipOptions: MembershipOptions = {
  interval: 1_000,
  timeout: 500,
  helpers: 3,
  helperTimeout: 350,
  giveUp: 10_000,
  suspicion: defaultSuspicion,
  tick: 200,
  early: 100,
  repeat: 2_000,
  longestRepeat: 120_000,
  longestUnseen: 32_000,
  retryDead: 10_000,
  pull: 30_000
}
