/** Uses of tokens between the door, which counts them, and the mesh's settings, which spread them. */
import { createHash } from "node:crypto"
import { Clock, Effect, Either, Schema } from "effect"
import { InviteUses, type OverusedInvite } from "../mesh/trust/InviteUses.ts"
import type { PeerKey } from "../model/Names.ts"
import { type InviteUse, maxUses, UsesBody } from "../schema/UsesSchema.ts"
import type { MeshSettings } from "./MeshSettings.ts"

/** A token that has ended is remembered for so long, ms: what was used too often is to be seen. */
const remembered = 24 * 3_600_000

/** Settings for the invites of one first digit, and uses in one, however long the names of hosts are. */
const placesOfDigit = 16
const usesInOne = maxUses / 2

const noPlace = { message: `${placesOfDigit * usesInOne} uses of such tokens are held already` }

const notHeld = { message: "the mesh's settings do not hold what was written there" }

interface NotTold {
  readonly message: string
}

/** Milliseconds after which those that could not be told are tried again. */
const toldAgain = 30_000

const digitOf = ({ invite }: InviteUse): string => invite.slice(0, 1)

const decode = Schema.decodeUnknownEither(UsesBody)

/** Of each body that is held, read once: all are gone through whenever one is another. */
const read = new WeakMap<object, ReadonlyArray<InviteUse>>()

const usesIn = (body: object | undefined): ReadonlyArray<InviteUse> => {
  if (body === undefined) return []
  const known = read.get(body)
  if (known !== undefined) return known
  const uses = Either.match(decode(body), { onLeft: () => [], onRight: ({ uses }) => uses })
  read.set(body, uses)
  return uses
}

export interface InviteUsesKeeperOptions {
  readonly settings: Pick<MeshSettings, "subscribe" | "view" | "write">
  readonly self: PeerKey
  readonly author: string
  /** Hears once of each token that let in too many, and again when there are more of them. */
  readonly onOverused: (found: OverusedInvite) => void
}

export class InviteUsesKeeper {
  readonly uses = new InviteUses()
  readonly #settings: InviteUsesKeeperOptions["settings"]
  readonly #self: PeerKey
  readonly #author: string
  readonly #onOverused: InviteUsesKeeperOptions["onOverused"]
  /** How many hosts came with each token that let in too many. Undefined: nobody has looked yet. */
  #found: ReadonlyMap<string, number> | undefined
  // One at a time: each is written above the one before.
  readonly #turns = Effect.unsafeMakeSemaphore(1)
  /** Somebody tells again and again what could not be told. */
  #insists = false

  constructor({ author, onOverused, self, settings }: InviteUsesKeeperOptions) {
    this.#settings = settings
    this.#self = self
    this.#author = author
    this.#onOverused = onOverused
    settings.subscribe("uses", (ofKind) => {
      this.uses.follow(Array.from(ofKind.values()).flatMap(({ body }) => usesIn(body)))
      this.#find()
    })
  }

  /** What the disk holds was found before. */
  #find(): void {
    const before = this.#found
    const overused = this.uses.overused()
    this.#found = new Map(overused.map(({ invite, nodes }) => [invite, nodes.length]))
    if (before === undefined) return
    for (const one of overused) {
      if (one.nodes.length > (before.get(one.invite) ?? 0)) this.#onOverused(one)
    }
  }

  /**
   * Tells the mesh of a use that was counted here, and of those before it that could not be told. Where it cannot be,
   * one of those that are told of goes on with all of them until they are, or their tokens are long over.
   */
  tell(use: InviteUse): Effect.Effect<void> {
    return this.#tellAll(digitOf(use)).pipe(
      Effect.catchAll(({ message }) =>
        Effect.zipRight(
          Effect.logWarning(
            `the mesh could not be told yet that ${use.name} used a token, so another member may let one more in: ${message}; it is told again every ${toldAgain / 1_000} s`
          ),
          this.#insist
        )
      )
    )
  }

  readonly #insist = Effect.suspend(() => {
    if (this.#insists) return Effect.void
    this.#insists = true
    return Effect.ensuring(
      Effect.iterate(true, {
        while: (goesOn) => goesOn,
        body: () => Effect.delay(this.#tellAgain, toldAgain)
      }),
      Effect.sync(() => {
        this.#insists = false
      })
    )
  })

  /** Answers whether there are still some to be told. */
  readonly #tellAgain = Effect.gen(this, function* () {
    this.uses.letGo((yield* Clock.currentTimeMillis) - remembered)
    const digits = new Set(this.uses.pending.map(digitOf))
    // Why one cannot be told was said when that was found.
    yield* Effect.forEach(digits, (digit) => Effect.ignore(this.#tellAll(digit)))
    return this.uses.pending.length > 0
  })

  /** Tells all that wait for it, of the tokens with this first digit. */
  #tellAll(digit: string): Effect.Effect<void, NotTold> {
    const waiting = () => this.uses.pending.filter((use) => digitOf(use) === digit)
    return this.#turns.withPermits(1)(
      Effect.iterate(waiting(), {
        while: (uses) => uses.length > 0,
        body: (uses) =>
          Effect.gen(this, function* () {
            yield* this.#write(digit, uses)
            const left = waiting()
            return left.length < uses.length ? left : yield* Effect.fail(notHeld)
          })
      })
    )
  }

  /** As many of them as there is room for in one setting. */
  #write(digit: string, uses: ReadonlyArray<InviteUse>): Effect.Effect<void, NotTold> {
    return Effect.gen(this, function* () {
      const found = this.#placeFor(digit, yield* Clock.currentTimeMillis)
      // None is left out for another: who may use a token once could do it again.
      if (found === undefined) return yield* Effect.fail(noPlace)
      const more = uses.slice(0, usesInOne - found.uses.length)
      const body = { uses: [...found.uses, ...more] }
      yield* this.#settings.write({
        ...{ kind: "uses", name: found.name, body, author: this.#author, why: undefined }
      })
    })
  }

  /** The first of the settings of this digit of invites that has room, and what stands in it that is not over. */
  #placeFor(digit: string, now: number) {
    const held = this.#settings.view().get("uses")
    for (let index = 0; index < placesOfDigit; index++) {
      const name = this.#nameOf(digit, index)
      const uses = usesIn(held?.get(name)?.body).filter(({ until }) => until + remembered > now)
      if (uses.length < usesInOne) return { name, uses }
    }
    return undefined
  }

  /** This node's alone, so that what two count is no contradiction. */
  #nameOf(digit: string, index: number): string {
    const signer = createHash("sha256").update(this.#self).digest("hex").slice(0, 32)
    return `${signer}.${digit}${index === 0 ? "" : `.${index}`}`
  }
}
