import { expect, test } from "vitest"
import { nodeEntry } from "../mesh/catalogue/RecordEntry.ts"
import { NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import { NamedPorts } from "./NamedPorts.ts"

const payments = ServiceName.make("payments")

const entryOf = (index: number, epoch: number, port: number | undefined) => {
  const record = {
    ...{ peer: PeerKey.make(`12D3KooWPeer${"A".repeat(10)}${index}`), addresses: [] },
    ...{ name: NodeName.make(`host-${index}`), software: "skein/test", state: "serving" as const },
    ...{ epoch, version: 0, signedAt: epoch },
    services: [
      {
        ...{ name: payments, protocol: "http" as const, endpoints: [] },
        ...(port === undefined ? {} : { port })
      }
    ]
  }
  return nodeEntry(record, [], new TextEncoder().encode(JSON.stringify(record)))
}

test("a name's port is what the node says that has run longest, or the usual one", () => {
  const ports = new NamedPorts()
  expect([ports.of(payments, "http"), ports.of(payments, "tcp")]).toEqual([80, undefined])
  const [late, early, silent] = [entryOf(1, 9, 81), entryOf(2, 5, 82), entryOf(3, 1, undefined)]
  ports.follow([late, early, silent].map((after) => ({ before: undefined, after })))
  expect([ports.of(payments, "http"), ports.of(payments, "tcp")]).toEqual([82, 82])
  const changed = entryOf(2, 6, 83)
  ports.follow([{ before: early, after: changed }])
  expect(ports.of(payments, "http")).toBe(83)
  ports.follow([{ before: changed, after: undefined }])
  expect(ports.of(payments, "http")).toBe(81)
  ports.follow([{ before: late, after: entryOf(1, 10, undefined) }])
  expect(ports.of(payments, "http")).toBe(80)
})
