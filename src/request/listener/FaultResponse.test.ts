import { describe, expect, it } from "vitest"
import { fieldValue } from "../../model/Exchange.ts"
import { type Fault, type FaultCode, faultKinds } from "../../model/Fault.ts"
import { ServiceName } from "../../model/Names.ts"
import { decodeResponseHead } from "../http1/ResponseHeadText.ts"
import { writeAnswer, writeFault } from "./FaultResponse.ts"

const fault = (change: Partial<Fault> = {}): Fault => ({
  code: "upstream_connect",
  message: "näher: ECONNREFUSED",
  node: "host-b",
  service: ServiceName.make("payments"),
  sent: false,
  ...change
})

/** As a client reads it: what it is told of the mesh, our own reader of programs takes away. */
const read = (text: string, method = "GET") => {
  const end = Buffer.from(text).indexOf("\r\n\r\n") + 4
  const parsed = decodeResponseHead(Buffer.from(text).subarray(0, end), method)
  const body = Buffer.from(text).subarray(end).toString()
  const { fields, framing } = parsed.head
  if (parsed.body === "length")
    expect(framing).toEqual({ kind: "length", length: Buffer.byteLength(body) })
  return { head: parsed.head, body, field: (name: string) => fieldValue(fields, name) }
}

const options = { method: "GET", version: 1, keepAlive: true } as const

describe("writeFault", () => {
  // Object.keys forgets that the keys of a literal are all there are.
  it.each(Object.keys(faultKinds) as Array<FaultCode>)("is a whole response for %s", (code) => {
    const { head, body, field } = read(writeFault(fault({ code }), options))
    expect(head.status).toBe(faultKinds[code].status)
    expect(field("skein-error")).toBe(code)
    expect(field("skein-node")).toBe("host-b")
    expect(JSON.parse(body)).toEqual({
      code,
      message: "näher: ECONNREFUSED",
      service: "payments",
      node: "host-b",
      hint: faultKinds[code].hint
    })
  })

  it("says the length to HEAD and sends no body", () => {
    const text = writeFault(fault(), { ...options, method: "HEAD" })
    const { head, body } = read(text, "HEAD")
    expect(head.framing).toMatchObject({ kind: "length" })
    expect(body).toBe("")
    expect(text.endsWith("\r\n\r\n")).toBe(true)
  })

  it("rounds Retry-After up to whole seconds", () => {
    expect(read(writeFault(fault({ retryAfter: 1.2 }), options)).field("retry-after")).toBe("2")
  })

  it("cannot be split by a node's name", () => {
    const text = writeFault(fault({ node: "x\r\nset-cookie: a" }), options)
    expect(read(text).field("set-cookie")).toBeUndefined()
    expect(read(text).field("skein-node")).toBe("x??set-cookie: a")
  })
})

describe("writeAnswer", () => {
  const trace = { status: 200, fields: ["content-type", "message/http"], body: "caf\xe9" } as const
  const written = (answer: Parameters<typeof writeAnswer>[0]): Buffer =>
    Buffer.from(writeAnswer(answer, "host-\u{e9}\r\n", options))

  it("writes what is no fault byte for byte, with the node and no error", () => {
    const bytes = written(trace)
    const { head, body, field } = read(bytes.toString("latin1").replace("\xe9", "e"))
    expect(head.status).toBe(200)
    expect(field("skein-node")).toBe("host-???")
    expect(field("skein-error")).toBeUndefined()
    expect(body).toBe("cafe")
    expect(bytes.at(-1)).toBe(0xe9)
  })

  it("writes faults as they are written", () => {
    expect(written(fault()).toString()).toBe(writeFault(fault(), options))
  })
})
