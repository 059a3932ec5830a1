import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ProtocolError } from "./Frame.ts"
import { Lines } from "./Lines.ts"
import {
  isRefused,
  readControlAnswer,
  readHello,
  readLinkAnswer,
  refusalLine,
  type Versions
} from "./ProgramHello.ts"

const hello = (more: object): string =>
  JSON.stringify({ skein: "program", versions: [1, 1], role: "calls", ...more })

describe("the hello of a program", () => {
  it("is read, with what a later version says besides", () => {
    expect(readHello(hello({ pass: "secret", later: { x: 1 } }))).toEqual({
      ...{ version: 1, role: "calls", pass: "secret" }
    })
    expect(readHello(hello({ role: "control" }))).toMatchObject({ role: "control" })
  })

  it("chooses the newest version that both speak", () => {
    expect(readHello(hello({ versions: [1, 9] }), [2, 4])).toMatchObject({ version: 4 })
    expect(readHello(hello({ versions: [2, 3] }), [1, 7])).toMatchObject({ version: 3 })
    fc.assert(
      fc.property(
        fc.tuple(...Array.from({ length: 4 }, () => fc.integer({ min: 1, max: 9 }))),
        (n) => {
          const range = (a: number, b: number): Versions => [Math.min(a, b), Math.max(a, b)]
          const [theirs, ours] = [range(n[0]!, n[1]!), range(n[2]!, n[3]!)]
          const read = readHello(hello({ versions: theirs }), ours)
          const both = [1, 2, 3, 4, 5, 6, 7, 8, 9].filter((version) =>
            [theirs, ours].every(([least, most]) => least <= version && version <= most)
          )
          if (isRefused(read)) expect(both).toEqual([])
          else expect(read.version).toBe(both.at(-1))
        }
      )
    )
  })

  it("is refused with who is to be upgraded", () => {
    expect(readHello(hello({ versions: [1, 2] }), [3, 4])).toMatchObject({
      code: "too_old",
      message: expect.stringContaining("upgrade the program's library")
    })
    expect(readHello(hello({ versions: [5, 6] }), [3, 4])).toMatchObject({
      code: "too_new",
      message: expect.stringContaining("upgrade the node")
    })
  })

  it("is refused when it is none", () => {
    const others = [
      "",
      "GET / HTTP/1.1",
      "[]",
      "null",
      JSON.stringify({ skein: "program" }),
      hello({ role: "observer" }),
      hello({ versions: [2, 1] }),
      hello({ versions: ["1", "1"] })
    ]
    for (const line of others) expect(readHello(line)).toMatchObject({ code: "bad_hello" })
  })
})

describe("a node's answer", () => {
  it("is read, or is a refusal, of a code that is not known as well", () => {
    expect(readLinkAnswer('{"version":1,"thread":2}')).toEqual({ version: 1, thread: 2 })
    expect(readLinkAnswer(refusalLine({ code: "unknown_program", message: "no" }))).toEqual({
      ...{ code: "unknown_program", message: "no" }
    })
    expect(readLinkAnswer('{"refused":{"code":"by_moon","message":"no"}}')).toMatchObject({
      code: "by_moon"
    })
    expect(readLinkAnswer("HTTP/1.1 400 Bad Request")).toBeUndefined()
    expect(readLinkAnswer("{}")).toBeUndefined()
    expect(readControlAnswer('{"node":"host-a"}')).toEqual({ node: "host-a" })
  })
})

describe("lines", () => {
  it("come out as they went in, however they are cut", () => {
    const text = fc.array(fc.string({ unit: "grapheme", maxLength: 20 }), { maxLength: 8 })
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 7 }), (all, size) => {
        const said = all.map((line) => line.replaceAll("\n", ""))
        const bytes = Buffer.from(`${said.map((line) => `${line}\n`).join("")}rest`)
        const lines = new Lines(200)
        const heard: Array<string> = []
        for (let at = 0; at < bytes.length; at += size) {
          lines.push(bytes.subarray(at, at + size))
          for (let line = lines.next(); line !== undefined; line = lines.next()) heard.push(line)
        }
        expect(heard).toEqual(said)
        expect(lines.rest().toString()).toBe("rest")
      })
    )
  })

  it("have a limit, with an end and without", () => {
    const most = new Lines(4)
    most.push(Buffer.from("1234\n12345"))
    expect(most.next()).toBe("1234")
    expect(() => most.next()).toThrow(ProtocolError)
    const ended = new Lines(4)
    ended.push(Buffer.from("12345\n"))
    expect(() => ended.next()).toThrow(ProtocolError)
  })
})
