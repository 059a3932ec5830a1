import { describe, expect, it } from "vitest"
import { sectionOf } from "../request/http1/FieldSection.ts"
import {
  AnswerReader,
  decodeRequest,
  encodeMessage,
  rpcFields,
  rpcFieldsWith,
  rpcType
} from "./RpcBody.ts"

const request = (text: string) =>
  encodeMessage({ _tag: "Request", id: "0", tag: "Say", payload: { text }, headers: [["a", "b"]] })

const payload = (...body: ReadonlyArray<Uint8Array>) => decodeRequest(...body)?.payload

const chunk = encodeMessage({ _tag: "Chunk", requestId: "0", values: [1, { two: "2" }] })
const exit = encodeMessage({
  ...{ _tag: "Exit", requestId: "0" },
  exit: { _tag: "Success", value: "done" }
})

describe("the head of an RPC", () => {
  it("is a section, unless it says more than all of them do", () => {
    expect(rpcFields).toEqual(["content-type", rpcType])
    expect(sectionOf(rpcFieldsWith([]))?.fields).toBe(rpcFields)
    const others = rpcFieldsWith(["traceparent", "00"])
    expect(others).toEqual(["content-type", rpcType, "traceparent", "00"])
    expect(sectionOf(others)).toBeUndefined()
  })
})

describe("the body of a request", () => {
  it("is one message, in one piece or several", () => {
    const bytes = request("hello")
    expect(payload(bytes)).toEqual({ text: "hello" })
    expect(payload(bytes.subarray(0, 5), bytes.subarray(5))).toEqual({ text: "hello" })
  })

  it("is none that is cut off anywhere, and leaves nothing for the next", () => {
    const bytes = request("hello")
    for (let length = 0; length < bytes.length; length++) {
      expect(payload(bytes.subarray(0, length))).toBeUndefined()
      expect(payload(bytes)).toEqual({ text: "hello" })
    }
  })

  it("is none with something behind it, whole or cut off", () => {
    const bytes = request("hello")
    for (let length = 1; length <= bytes.length; length++) {
      expect(payload(bytes, bytes.subarray(0, length))).toBeUndefined()
      expect(payload(bytes)).toEqual({ text: "hello" })
    }
    expect(payload(bytes, new Uint8Array([0xc0]))).toBeUndefined()
  })

  it("is none of what is no MessagePack, and leaves nothing for the next", () => {
    expect(payload(new Uint8Array([0xc1, 0xff]))).toBeUndefined()
    expect(payload(request("hello"))).toEqual({ text: "hello" })
  })
})

describe("the answers of a body", () => {
  const all = Buffer.concat([chunk, exit])

  it("are read as they are whole, wherever pieces end", () => {
    const whole = new AnswerReader().read([chunk, exit])
    expect(whole.map(({ _tag }) => _tag)).toEqual(["Chunk", "Exit"])
    for (let at = 1; at < all.length; at++) {
      const reader = new AnswerReader()
      const other = new AnswerReader()
      const first = reader.read([all.subarray(0, at)])
      // Another body's, in between.
      expect(other.read([all])).toEqual(whole)
      expect([...first, ...reader.read([all.subarray(at)])]).toEqual(whole)
    }
  })

  it("are none of what is no answer", () => {
    expect(() => new AnswerReader().read([request("hello")])).toThrow()
    expect(() => new AnswerReader().read([new Uint8Array([0xc1, 0xff])])).toThrow()
    expect(new AnswerReader().read([exit])).toHaveLength(1)
  })
})
