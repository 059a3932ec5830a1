import { describe, expect, it } from "vitest"
import type { Fields } from "../../model/Exchange.ts"
import { KnownBlocks } from "./BlockMemory.ts"
import { sectionOf } from "./FieldSection.ts"
import { defaultHttp1Limits } from "./Limits.ts"
import { type ParsedRequest, RequestReader } from "./RequestReader.ts"

const head = (lines: string, target = "/"): Buffer =>
  Buffer.from(`GET ${target} HTTP/1.1\r\nHost: a.mesh\r\n${lines}\r\n`)

/** The requests that one connection's reader makes of chunks. */
const connection = (blocks = new KnownBlocks(), limits = defaultHttp1Limits) => {
  const requests: Array<ParsedRequest> = []
  const errors: Array<string> = []
  const reader = new RequestReader(
    {
      onHead: (request) => requests.push(request),
      onBody: () => undefined,
      onEnd: () => reader.next(),
      onError: ({ rule }) => errors.push(rule)
    },
    limits,
    blocks
  )
  const read = (bytes: Buffer): ParsedRequest => {
    reader.feed(bytes)
    const last = requests.at(-1)
    if (last === undefined) throw new Error(`no request: ${errors}`)
    return last
  }
  const fields = (bytes: Buffer): Fields => read(bytes).head.fields
  return { errors, fields, read, requests }
}

describe("BlockMemory", () => {
  it("recognises a block that is sent twice in a row, from the third time on", () => {
    const { fields } = connection()
    const bytes = head("Accept: */*\r\n")
    const first = fields(bytes)
    expect(sectionOf(first)).toBeUndefined()
    const second = fields(bytes)
    expect(second).not.toBe(first)
    expect(sectionOf(second)?.text).toBe("Accept: */*\r\n")
    expect(fields(bytes)).toBe(second)
    expect(fields(bytes)).toBe(second)
  })

  it("reads the first line anew each time", () => {
    const { read } = connection()
    for (let i = 0; i < 3; i++) read(head("A: b\r\n"))
    expect(read(head("A: b\r\n", "/other?x")).head.target).toBe("/other?x")
    expect(read(head("A: b\r\n")).head.target).toBe("/")
  })

  it("reads what differs in one byte, and knows the other again afterwards", () => {
    const { fields } = connection()
    for (let i = 0; i < 3; i++) fields(head("A: b\r\n"))
    const known = fields(head("A: b\r\n"))
    expect(fields(head("A: c\r\n"))).toEqual(["A", "c"])
    expect(fields(head("A: b\r\n"))).toBe(known)
  })

  it("does not take the beginning of a longer block for the block", () => {
    const { errors, fields, requests } = connection()
    for (let i = 0; i < 4; i++) fields(head("A: b\r\n"))
    const longer = head("A: b\r\nContent-Length: 3\r\n")
    expect(fields(Buffer.concat([longer, Buffer.from("abc")]))).toEqual(["A", "b"])
    expect(requests).toHaveLength(5)
    expect(errors).toEqual([])
  })

  it("reads a first line that is wrong as wrong", () => {
    const { errors, read } = connection()
    for (let i = 0; i < 4; i++) read(head(""))
    read(head("", "/a b"))
    expect(errors).toEqual(["bad_version"])
  })

  it("reads known blocks in pieces too", () => {
    const { fields } = connection()
    for (let i = 0; i < 3; i++) fields(head("A: b\r\n"))
    const bytes = head("A: b\r\n", "/pieces")
    fields(bytes.subarray(0, 20))
    expect(fields(bytes.subarray(20))).toEqual(["A", "b"])
  })

  it("holds to the limit of a head whose block is known", () => {
    const limits = { ...defaultHttp1Limits, headBytes: 1_024 }
    const { errors, read } = connection(new KnownBlocks(), limits)
    for (let i = 0; i < 4; i++) read(head(""))
    read(head("", `/${"x".repeat(1_024)}`))
    expect(errors).toEqual(["head_bytes"])
  })

  it("shares what it knows with other connections", () => {
    const blocks = new KnownBlocks()
    const one = connection(blocks)
    const other = connection(blocks)
    const bytes = head("Accept: */*\r\n")
    for (let i = 0; i < 3; i++) one.fields(bytes)
    for (let i = 0; i < 3; i++) other.fields(bytes)
    expect(other.fields(bytes)).toBe(one.fields(bytes))
  })

  it("forgets what came first at its limit", () => {
    const blocks = new KnownBlocks(2)
    const kept = (value: string): Fields => {
      const { fields } = connection(blocks)
      for (let i = 0; i < 3; i++) fields(head(`A: ${value}\r\n`))
      return fields(head(`A: ${value}\r\n`))
    }
    const first = kept("1")
    expect(kept("1")).toBe(first)
    kept("2")
    const third = kept("3")
    expect(kept("1")).not.toBe(first)
    expect(kept("3")).toBe(third)
  })

  it("does not remember long blocks", () => {
    const { fields } = connection()
    const bytes = head(`A: ${"x".repeat(3_000)}\r\n`)
    for (let i = 0; i < 4; i++) expect(sectionOf(fields(bytes))).toBeUndefined()
  })
})
