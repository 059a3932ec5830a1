/** Why a message has not been handled by its actor. Codes are stable. */
import { Data } from "effect"
import { type ActorAddress, formatAddress } from "./ActorAddress.ts"

/**
 * As many messages wait for the actor as may (`mailbox`). Certainly nothing was done: the caller waits, or
 * does without.
 */
export class MailboxFull extends Data.TaggedError("MailboxFull")<{
  readonly code: "mailbox_full"
  readonly address: ActorAddress
  readonly message: string
}> {
  static readonly of = (address: ActorAddress, limit: number): MailboxFull =>
    new MailboxFull({
      code: "mailbox_full",
      address,
      message: `${formatAddress(address)} has ${limit} messages waiting, which is the limit; call again later, or let the type have more (mailbox)`
    })
}

const hints = {
  /** Its answer, of now or kept under its key, does not fit its Schema at who asks. */
  answer_unreadable:
    "A release with another Schema has carried it out, and it is not sent again by itself. One with a key is done again under another key only.",
  /** Nobody offers the type, or nobody who is well. */
  no_host:
    "Is a program that has the type's layer running? `skein endpoints` of that service shows which do.",
  /** Its hosts have lost the store, all of them: where one has it, the actor goes there. */
  no_store:
    "No host of the type reaches the store, so none may run it; each of their logs says why. They come back by themselves.",
  /** Nobody has answered for it by the deadline. */
  deadline:
    "The actor is busy, moves, or its host does not answer; allow more time, or call again.",
  /** Messages wait for each other that are too many to come to an end. */
  chain_too_long:
    "Actors that let in what they wait for themselves (reentrant) call each other in circles; the message names the last of them.",
  /** Of a type's actors, 10,000 are watched on one host. */
  too_many_watchers: "End some of those that watch, or have more hosts run the type.",
  /** It has crashed too often in a row and rests. */
  failed: "It keeps crashing; its host's log says on what. It is tried again by itself.",
  /** A later release has saved it, and its host cannot read that. */
  state_newer:
    "A newer release of its program has saved it, and shards are placed without regard to releases: replace the programs that run the older one, this actor's host first.",
  /** It is only allowed to run under a lease, and there is none. */
  not_leased:
    "The store that grants leases cannot be reached by the actor's host, or another holds it.",
  /** What it did could not be saved, and so has not been done, or that is not known. */
  not_saved: "The store did not save it. The actor goes on from what was saved last.",
  /** Its program ends. */
  stopped: "The program that ran it ends; call again, and its next host answers."
} as const

export type ActorTrouble = keyof typeof hints

/** The actor could not be asked, or not to the end. */
export class ActorUnavailable extends Data.TaggedError("ActorUnavailable")<{
  readonly code: ActorTrouble
  readonly address: ActorAddress
  readonly message: string
  /** What to look at next. */
  readonly hint: string
  /** False: certainly nothing was done. */
  readonly sent: boolean
  readonly cause?: unknown
}> {
  static readonly of = (
    code: ActorTrouble,
    address: ActorAddress,
    what: string,
    { cause, sent = false }: { readonly cause?: unknown; readonly sent?: boolean } = {}
  ): ActorUnavailable =>
    new ActorUnavailable({
      ...{ code, address, sent },
      message: `${formatAddress(address)} ${what}. ${hints[code]}`,
      hint: hints[code],
      ...(cause === undefined ? {} : { cause })
    })
}

export const isActorTrouble = (code: string): code is ActorTrouble => Object.hasOwn(hints, code)
