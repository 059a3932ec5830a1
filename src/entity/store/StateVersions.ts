/**
 * The Schemas that an actor's state has had, so that what an older release saved is read by a newer one:
 *
 *     const CartState = stateOf(CartV1).next(CartV2, (old) => ({ ...old, coupons: [] }))
 *
 * Each version is read by its own Schema, and migrated step by step. What is saved is always the latest. A
 * version that was ever in use must stay in the list, and must not change.
 */
import { Data, Either, ParseResult, Schema } from "effect"
import type { StoredState } from "./ActorStore.ts"

/** The state in the store cannot be read, or the one in memory not be written. The actor does not run. */
export class StateUnreadable extends Data.TaggedError("StateUnreadable")<{
  /** `state_newer`: a later release has saved it; `state_unreadable`: it is not what its Schema says. */
  readonly code: "state_newer" | "state_unreadable"
  readonly message: string
  /** Of `state_newer`: as which version it was saved, and the latest that is known here. */
  readonly versions?: { readonly saved: number; readonly known: number }
  readonly cause?: unknown
}> {}

type Reader<A> = (json: unknown) => Either.Either<A, StateUnreadable>

const unreadable = (message: string, cause?: unknown) =>
  new StateUnreadable({ code: "state_unreadable", message, cause })

const explained =
  (what: string) =>
  (error: ParseResult.ParseError): StateUnreadable =>
    unreadable(`${what}: ${ParseResult.TreeFormatter.formatErrorSync(error)}`, error)

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })

export class StateVersions<A> {
  /** From 1. */
  readonly latest: number
  readonly #readers: ReadonlyArray<Reader<A>>
  readonly #write: (value: A) => Either.Either<unknown, ParseResult.ParseError>

  /** @internal Of `stateOf` and `next`. */
  constructor(
    readers: ReadonlyArray<Reader<A>>,
    write: (value: A) => Either.Either<unknown, ParseResult.ParseError>
  ) {
    this.latest = readers.length
    this.#readers = readers
    this.#write = write
  }

  /** Another version. `migrate` is pure: it may run many times for one state, until that is saved. */
  next<B, I>(schema: Schema.Schema<B, I>, migrate: (old: A) => B): StateVersions<B> {
    const migrated = this.#readers.map(
      (read): Reader<B> =>
        (json) =>
          Either.flatMap(read(json), (old) =>
            Either.try({
              try: () => migrate(old),
              catch: (cause) =>
                unreadable(`the migration to version ${this.latest + 1} failed: ${cause}`, cause)
            })
          )
    )
    return new StateVersions(
      [...migrated, readerOf(schema, this.latest + 1)],
      Schema.encodeEither(schema)
    )
  }

  decode({ bytes, schema }: StoredState): Either.Either<A, StateUnreadable> {
    if (schema > this.latest) {
      return Either.left(
        new StateUnreadable({
          code: "state_newer",
          versions: { saved: schema, known: this.latest },
          message: `the state was saved as version ${schema}, and this release knows ${this.latest}: let the newer release run on all hosts of the type`
        })
      )
    }
    const read = this.#readers[schema - 1]
    if (read === undefined) return Either.left(unreadable(`there is no version ${schema}`))
    return Either.flatMap(
      Either.try({
        try: (): unknown => JSON.parse(decoder.decode(bytes)),
        catch: (cause) => unreadable(`version ${schema} is not JSON: ${cause}`, cause)
      }),
      read
    )
  }

  encode(value: A): Either.Either<StoredState, StateUnreadable> {
    return Either.mapBoth(this.#write(value), {
      onLeft: explained("the state is not what its Schema says"),
      onRight: (json) => ({ bytes: encoder.encode(JSON.stringify(json)), schema: this.latest })
    })
  }
}

const readerOf = <A, I>(schema: Schema.Schema<A, I>, version: number): Reader<A> => {
  const decode = Schema.decodeUnknownEither(schema)
  return (json) => Either.mapLeft(decode(json), explained(`version ${version}`))
}

/** Of an actor whose state has had one Schema so far. */
export const stateOf = <A, I>(schema: Schema.Schema<A, I>): StateVersions<A> =>
  new StateVersions([readerOf(schema, 1)], Schema.encodeEither(schema))
