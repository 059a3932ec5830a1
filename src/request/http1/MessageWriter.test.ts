import { Writable } from "node:stream"
import { describe, expect, it } from "vitest"
import { MessageWriter } from "./MessageWriter.ts"

const head = "HTTP/1.1 200 OK\r\nx: \u00e9\r\n\r\n"

/** What reached the system, one text per write. */
const record = () => {
  const writes: Array<string> = []
  const socket = new Writable({
    decodeStrings: true,
    writev: (chunks, done) => {
      writes.push(Buffer.concat(chunks.map(({ chunk }) => chunk)).toString("latin1"))
      done()
    }
  })
  return { writes, socket, writer: new MessageWriter(socket) }
}
const nextTick = () => new Promise<void>((resolve) => process.nextTick(resolve))

describe("MessageWriter", () => {
  it("writes a head and the content of the same turn at once, as one buffer", () => {
    const { writes, writer } = record()
    writer.headOfContent(head)
    expect(writes).toEqual([])
    writer.content(Buffer.from("one"))
    writer.content(Buffer.from("two"))
    expect(writes).toEqual([`${head}one`, "two"])
  })

  it("keeps no head waiting for longer than the turn", async () => {
    const { writes, writer } = record()
    writer.headOfContent(head)
    await nextTick()
    expect(writes).toEqual([head])
    writer.content(Buffer.from("one"))
    expect(writes).toEqual([head, "one"])
  })

  it("gathers a head and much content", () => {
    const { writes, writer } = record()
    writer.headOfContent(head)
    writer.content(Buffer.alloc(20_000, "x"))
    expect(writes).toEqual([head + "x".repeat(20_000)])
  })

  it("gathers a head and its chunks", async () => {
    const { writes, writer } = record()
    writer.headOfMore(head)
    writer.chunk(Buffer.from("abc"))
    writer.chunk(Buffer.alloc(16, "d"))
    await nextTick()
    expect(writes).toEqual([`${head}3\r\nabc\r\n10\r\n${"d".repeat(16)}\r\n`])
  })

  it("forgets a head that was dropped, and writes one that was flushed once", async () => {
    const { writes, writer } = record()
    writer.headOfContent(head)
    writer.drop()
    await nextTick()
    expect(writes).toEqual([])
    writer.headOfContent(head)
    writer.flush()
    await nextTick()
    expect(writes).toEqual([head])
  })

  it("says when the socket has enough", () => {
    const { writer, socket } = record()
    socket.cork()
    writer.headOfContent(head)
    expect(writer.content(Buffer.alloc(10_000))).toBe(true)
    expect(writer.content(Buffer.alloc(100_000))).toBe(false)
    expect(writer.chunk(Buffer.alloc(1))).toBe(false)
  })
})
