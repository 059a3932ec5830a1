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

  /** Tells the mesh of a use that was counted here. */
  tell(use: InviteUse): Effect.Effect<void> {
    return this.#turns
      .withPermits(1)(
        Effect.gen(this, function* () {
          const found = this.#placeFor(use, yield* Clock.currentTimeMillis)
          // None is left out for another: who may use a token once could do it again.
          if (found === undefined) return yield* Effect.fail(noPlace)
          const body = { uses: [...found.uses, use] }
          yield* this.#settings.write({
            ...{ kind: "uses", name: found.name, body, author: this.#author, why: undefined }
          })
        })
      )
      .pipe(
        Effect.catchAll(({ message }) =>
          Effect.logWarning(
            `the mesh could not be told that ${use.name} used a token, so another member may let one more in: ${message}`
          )
        )
      )
  }

  /** The first of the settings of this invite's digit that has room, and what stands in it that is not over. */
  #placeFor({ invite }: InviteUse, now: number) {
    const held = this.#settings.view().get("uses")
    for (let index = 0; index < placesOfDigit; index++) {
      const name = this.#nameOf(invite, index)
      const uses = usesIn(held?.get(name)?.body).filter(({ until }) => until + remembered > now)
      if (uses.length < usesInOne) return { name, uses }
    }
    return undefined
  }

  /** This node's alone, so that what two count is no contradiction. */
  #nameOf(invite: string, index: number): string {
    const signer = createHash("sha256").update(this.#self).digest("hex").slice(0, 32)
    return `${signer}.${invite.slice(0, 1)}${index === 0 ? "" : `.${index}`}`
  }
}
