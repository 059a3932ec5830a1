import { expect, test } from "vitest"
import { NodeName, PeerKey } from "../../model/Names.ts"
import type { NodeRecord } from "../../model/NodeRecord.ts"
import { RecordNews } from "./RecordNews.ts"

const [a, b] = ["1", "2"].map((n) => PeerKey.make(`12D3KooWPeerPeerPeer${n}`))

const record = (peer: PeerKey, change: Partial<NodeRecord> = {}): NodeRecord => ({
  ...{ peer, name: NodeName.make("host"), addresses: [], epoch: 1, version: 1, signedAt: 1 },
  ...{ state: "serving", services: [], software: "" },
  ...change
})
const told = (peer: PeerKey, epoch = 1, left = false, zone?: string) => ({
  ...{ peer, name: "host", epoch, left, zone }
})

test("tells what is new of a member, and nothing of its services", () => {
  const news = new RecordNews()
  expect(news.take(false)).toBeUndefined()
  expect(news.change([record(a!), record(b!)], [])).toBe(true)
  expect(news.take(false)).toEqual({
    ...{ _tag: "RecordsChanged", gone: [] },
    records: [told(a!), told(b!)]
  })
  expect(news.change([record(a!, { version: 2, state: "draining" })], [])).toBe(false)
  expect(news.take(false)).toBeUndefined()
  news.change([record(a!, { version: 3, state: "left" })], [b!])
  expect(news.take(false)).toEqual({
    ...{ _tag: "RecordsChanged", gone: [b] },
    records: [told(a!, 1, true)]
  })
})

test("tells of a zone, and of a change of it", () => {
  const news = new RecordNews()
  news.change([record(a!, { zone: "eu/1" })], [])
  expect(news.take(false)).toMatchObject({ records: [told(a!, 1, false, "eu/1")] })
  expect(news.change([record(a!, { version: 2, zone: "eu/1" })], [])).toBe(false)
  expect(news.change([record(a!, { version: 3, zone: "eu/2" })], [])).toBe(true)
  expect(news.take(false)).toMatchObject({ records: [told(a!, 1, false, "eu/2")] })
})

test("tells several changes of one as what it is now", () => {
  const news = new RecordNews()
  news.change([record(a!)], [])
  news.change([record(a!, { epoch: 2 })], [])
  news.change([record(b!)], [])
  news.change([], [b!])
  expect(news.take(false)).toEqual({
    ...{ _tag: "RecordsChanged", gone: [b] },
    records: [told(a!, 2)]
  })
})

test("tells all when they are to be repeated, or when somebody has no room for all", () => {
  const news = new RecordNews()
  news.repeat()
  expect(news.take(false)).toBeUndefined()
  news.change([record(a!), record(b!)], [])
  news.take(false)
  const all = { _tag: "Records", records: [told(a!), told(b!)] }
  news.repeat()
  expect(news.take(false)).toEqual(all)
  expect(news.take(true)).toBeUndefined()
  news.change([record(b!, { epoch: 2 })], [])
  expect(news.take(true)).toEqual({ _tag: "Records", records: [told(a!), told(b!, 2)] })
})
