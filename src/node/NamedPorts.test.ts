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

test("who may be called by anything says so, and for how long silence is waited for", () => {
  const ports = new NamedPorts()
  const saying = (index: number, detect: number | undefined) => {
    const entry = entryOf(index, index, undefined)
    const services = entry.record.services.map((one) => ({ ...one, detect }))
    return { ...entry, record: { ...entry.record, services } }
  }
  const [silent, first, second] = [saying(1, undefined), saying(2, 20), saying(3, 30)]
  ports.follow([silent, second, first].map((after) => ({ before: undefined, after })))
  expect(ports.detectOf(payments)).toBe(20)
  expect(ports.of(payments, "http")).toBe(80)
  ports.follow([{ before: first, after: undefined }])
  expect(ports.detectOf(payments)).toBe(30)
  ports.follow([{ before: second, after: saying(3, undefined) }])
  expect(ports.detectOf(payments)).toBeUndefined()
})
