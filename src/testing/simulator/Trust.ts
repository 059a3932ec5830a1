/**
 * Who is thrown out, as one node has heard it: by the statements that its catalogue holds and the rules of
 * production (mesh/trust/Revocations.ts). Every certificate is the root's own. What is imagined is what is
 * done about it, after node/Expulsion.ts: connections end, what the outcast says is not taken, its records go.
 */
import type { SettingEntry } from "../../mesh/catalogue/RecordEntry.ts"
import { Revocations } from "../../mesh/trust/Revocations.ts"
import { NodeName, type PeerKey } from "../../model/Names.ts"
import type { Setting } from "../../model/Setting.ts"
import { type TrustBody, trustName } from "../../schema/TrustSchema.ts"
import type { MeshNode } from "./World.ts"

const isTrust = ({ setting }: SettingEntry): boolean => setting.kind === "trust"

/** What `skein revoke` writes at that node, whose wall clock says `epoch`. */
export const revocation = (by: MeshNode, peer: PeerKey): Setting & { readonly body: TrustBody } => {
  const body: TrustBody = { revoke: "node", peer, stay: [] }
  return {
    ...{ kind: "trust", name: trustName(body), body, why: "simulated", author: "somebody" },
    ...{ signer: by.peer, node: NodeName.make(`node-${by.index}`) },
    ...{ epoch: by.wall, version: 0, signedAt: by.wall, replaces: [], past: [] }
  }
}

export class Trust {
  readonly #node: MeshNode
  #held: ReadonlyArray<SettingEntry> = []
  #revocations = Revocations.none

  constructor(node: MeshNode) {
    this.#node = node
  }

  isOut(peer: PeerKey): boolean {
    return this.#revocations.outBy({ peer, issuers: [] }) !== undefined
  }

  /** What it tells whom it meets, before either is of use to the other. */
  records(): ReadonlyArray<Uint8Array> {
    return this.#held.map(({ bytes }) => bytes)
  }

  /** The catalogue holds other settings now. */
  follow(settings: Iterable<SettingEntry>): void {
    this.#held = Array.from(settings).filter(isTrust)
    this.#revocations = Revocations.of(
      this.#held.map(({ setting }) => {
        const { author, epoch, name, signedAt, signer, version, why } = setting
        // Whoever says so in a simulation says nothing else (`revocation`).
        const body = setting.body as TrustBody | undefined
        return { name, signer, issuers: [], epoch, version, body, why, signedAt, author }
      })
    )
    this.#cut()
  }

  #cut(): void {
    const node = this.#node
    const isOut = this.isOut(node.peer)
    for (const wire of Array.from(node.links.open.values())) {
      if (!isOut && !this.isOut(wire.other(node).peer)) continue
      wire.close(node)
      // Also where the other end has closed it, and its word is on its way.
      node.links.closed(wire)
    }
    for (const held of Array.from(node.catalogue.state.catalogue.entries())) {
      const { peer } = held.record
      if (peer !== node.peer && this.isOut(peer)) node.catalogue.rejudge(held)
    }
  }
}
