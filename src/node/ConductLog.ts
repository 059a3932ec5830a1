/** What members do that they should not: counted by name, and told in the log when one is cut off. */
import { Effect, Runtime } from "effect"
import { describeSpan } from "../mesh/trust/CertificateError.ts"
import { cutOffFor, type Offence, PeerConduct } from "../mesh/trust/PeerConduct.ts"
import type { PeerKey } from "../model/Names.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"

export interface ConductOptions {
  readonly metrics: MetricRegistry
  readonly nameOf: (peer: PeerKey) => string
  /** Monotonic ms. */
  readonly now: () => number
  /** Closes what joins this node with a peer. */
  readonly disconnect: (peer: PeerKey, reason: string) => void
}

export const keepConduct = ({
  disconnect,
  metrics,
  nameOf,
  now
}: ConductOptions): Effect.Effect<PeerConduct> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const count = metrics.counter(
      "skein_peer_offences_total",
      "What members did that no honest one does, by node and kind: forged (passed on what nobody has signed), garbage (not the language of the mesh), equivocated (signed two things as one version), flooded (told or asked more than its share).",
      ["node", "kind"]
    )
    const cutOff = (peer: PeerKey, what: Offence): void => {
      const reason = `it has gone too far (${what})`
      Runtime.runFork(runtime)(
        Effect.logWarning(
          `${nameOf(peer)} (${peer}) is cut off from this node for ${describeSpan(cutOffFor)}: ${reason}`
        )
      )
      disconnect(peer, reason)
    }
    return new PeerConduct({
      now,
      onOffence: (peer, kind) => count.cell({ node: nameOf(peer), kind }).inc(),
      onCutOff: cutOff
    })
  })
