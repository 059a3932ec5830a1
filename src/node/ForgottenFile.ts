/**
 * Ephemeral nodes that were forgotten, as they are kept over a restart (`forgotten.cbor`): whoever still
 * knows one would bring it back to a node that did not. Not needed to start: what cannot be read is told,
 * and replaced by the next that is written.
 */
import { join } from "node:path"
import { Effect, Schema } from "effect"
import { readPrivateFile, writePrivateFile } from "../mesh/keys/KeyFile.ts"
import type { StorageTrouble } from "../mesh/keys/StorageTrouble.ts"
import { decodeCbor, encodeCbor } from "../mesh/trust/Cbor.ts"
import type { Ticker } from "../model/Time.ts"
import { PeerKey } from "../schema/NamesSchema.ts"
import { type ForgottenNodes, maxPassing, type Passing } from "./ForgottenNodes.ts"

const Count = Schema.Int.pipe(Schema.nonNegative())

const File = Schema.Struct({
  version: Schema.Literal(1),
  nodes: Schema.Array(
    Schema.Struct({
      peer: PeerKey,
      epoch: Count,
      version: Count,
      /** Wall clock, ms. */
      until: Count
    })
  ).pipe(Schema.maxItems(maxPassing))
})

/** One node in it, at most. */
const nodeBytes = 256

export interface ForgottenFileOptions {
  readonly dataDir: string
  readonly forgotten: ForgottenNodes
  readonly trouble: StorageTrouble
  /** `now`: on the clock of `forgotten`; `wall`: what is written, since no other lasts. Both ms. */
  readonly clock: Pick<Ticker, "now" | "wall">
}

export class ForgottenFile {
  readonly #options: ForgottenFileOptions
  readonly #path: string
  /** What the disk holds: `forgotten.passing` as it was. */
  #saved: ReadonlyMap<PeerKey, Passing>

  constructor(options: ForgottenFileOptions) {
    this.#options = options
    this.#path = join(options.dataDir, "forgotten.cbor")
    this.#saved = options.forgotten.passing
  }

  /** `longest`: so long at most they are forgotten still, ms, wherever the clock has been set since. */
  load(longest: number): Effect.Effect<void> {
    const { clock, forgotten } = this.#options
    return Effect.gen(this, function* () {
      const bytes = yield* readPrivateFile(this.#path, 1024 + maxPassing * nodeBytes)
      if (bytes === undefined) return
      const { nodes } = yield* decodeCbor(File, bytes, this.#path)
      const [now, wall] = [clock.now(), clock.wall()]
      forgotten.forgetUntil(
        nodes.map((node) => ({ ...node, until: now + Math.min(node.until - wall, longest) }))
      )
      this.#saved = forgotten.passing
    }).pipe(
      Effect.catchAll(({ message }) =>
        Effect.logWarning(
          `which ephemeral nodes were forgotten is not known any more: ${message}. Those that others still know are listed again until they are found dead`
        )
      )
    )
  }

  get isSaved(): boolean {
    return this.#options.forgotten.passing === this.#saved
  }

  /** If there is something to be written. Never fails: it is tried again the next time. */
  readonly save: Effect.Effect<void> = Effect.suspend(() => {
    const { clock, forgotten, trouble } = this.#options
    const { passing } = forgotten
    if (passing === this.#saved) return Effect.void
    const later = clock.wall() - clock.now()
    const nodes = Array.from(passing, ([peer, { epoch, until, version }]) => ({
      ...{ peer, epoch, version, until: Math.max(0, Math.round(until + later)) }
    }))
    return writePrivateFile(this.#path, encodeCbor({ version: 1, nodes })).pipe(
      Effect.zipRight(
        Effect.sync(() => {
          this.#saved = passing
        })
      ),
      Effect.zipRight(trouble.done("forgotten")),
      Effect.catchAll(({ message }) => trouble.failed("forgotten", message))
    )
  })

  /** The file is gone: it is written again at the next `save`. */
  readonly lost: Effect.Effect<void> = Effect.sync(() => {
    this.#saved = new Map()
  })
}
