/** Uses of tokens between the door, which counts them, and the mesh's settings, which spread them. */
import { createHash } from "node:crypto"
import { Clock, Effect, Either, Schema } from "effect"
import { InviteUses, type OverusedInvite } from "../mesh/trust/InviteUses.ts"
import type { PeerKey } from "../model/Names.ts"
import { type InviteUse, maxUses, UsesBody } from "../schema/UsesSchema.ts"
import type { MeshSettings } from "./MeshSettings.ts"

/** A token that has ended is remembered for so long, ms: what was used too often is to be seen. */
const remembered = 24 * 3_600_000

const decode = Schema.decodeUnknownEither(UsesBody)

const usesIn = (body: unknown): ReadonlyArray<InviteUse> =>
  Either.match(decode(body), { onLeft: () => [], onRight: ({ uses }) => uses })

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
          const name = this.#nameOf(use)
          const now = yield* Clock.currentTimeMillis
          const held = this.#settings.view().get("uses")?.get(name)
          const current = usesIn(held?.body).filter(({ until }) => until + remembered > now)
          const uses = [...current, use].slice(-maxUses)
          yield* this.#settings.write({
            ...{ kind: "uses", name, body: { uses }, author: this.#author, why: undefined }
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

  /** This node's alone, so that what two count is no contradiction. */
  #nameOf({ invite }: InviteUse): string {
    const signer = createHash("sha256").update(this.#self).digest("hex").slice(0, 32)
    return `${signer}.${invite.slice(0, 1)}`
  }
}
