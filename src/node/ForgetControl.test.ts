import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import { nodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import { Revocations } from "../mesh/trust/Revocations.ts"
import { noAudit } from "../model/AuditEvent.ts"
import { NodeName, PeerKey } from "../model/Names.ts"
import type { NodeRecord } from "../model/NodeRecord.ts"
import type { SettingInForce } from "../model/Setting.ts"
import { makeForget } from "./ForgetControl.ts"
import { nodesIn } from "./ForgottenNodes.ts"

const peerOf = (letter: string) => PeerKey.make(`12D3KooW${letter.repeat(44)}`)
const self = { peer: peerOf("S"), name: NodeName.make("host-a") }

/** A node that holds records of these dead hosts, and whose settings take a turn of the loop to be written. */
const forgetting = (hosts: ReadonlyArray<string>) => {
  const held = new Map<string, SettingInForce>()
  let catalogue = Catalogue.empty
  for (const letter of hosts) {
    const record: NodeRecord = {
      ...{ peer: peerOf(letter), name: NodeName.make(`host-${letter}`), epoch: 1, version: 1 },
      ...{ signedAt: 1, addresses: [], services: [], state: "serving", software: "skein/test" }
    }
    catalogue = catalogue.merge(nodeEntry(record, [], Buffer.from(letter)))[0]
  }
  const forget = makeForget({
    plane: {
      catalogue: { current: () => catalogue },
      membership: { stateOf: () => "dead" },
      revocations: { current: Revocations.none },
      stranded: () => [],
      settings: {
        view: () => new Map([["forgotten", held]]),
        write: ({ author, body, kind, name, why }) =>
          Effect.gen(function* () {
            yield* Effect.yieldNow()
            const written: SettingInForce = {
              ...{ kind, name, body: body ?? {}, author, why, node: self.name },
              ...{ signer: self.peer, signedAt: 1, epoch: 1, version: held.size, conflict: [] }
            }
            held.set(name, written)
            return written
          })
      }
    },
    self: () => self,
    audit: noAudit
  })
  const forgotten = () => Array.from(held.values()).flatMap(({ body }) => nodesIn(body))
  return { forget, forgotten }
}

it.effect("hosts that are forgotten at the same time are all forgotten", () =>
  Effect.gen(function* () {
    const hosts = ["B", "C", "D"]
    const { forget, forgotten } = forgetting(hosts)
    yield* Effect.forEach(hosts, (letter) => forget({ node: `host-${letter}`, author: "ada" }), {
      concurrency: "unbounded",
      discard: true
    })
    expect(forgotten().map(({ called }) => called)).toEqual(["host-B", "host-C", "host-D"])
  })
)
