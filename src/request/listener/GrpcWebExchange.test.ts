/** A call of gRPC-Web between its two sides, whatever is cut where and whoever breaks off. */
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Fields, fieldValue, streamBody } from "../../model/Exchange.ts"
import { RecordingReceiver } from "../../testing/OutboundRecorders.ts"
import { httpCall, responseHead, ScriptedCallee, someFault } from "../../testing/ScriptedCallee.ts"
import { Base64Reader, base64Of } from "./Base64Body.ts"
import type { WebCall } from "./GrpcWeb.ts"
import { asGrpc } from "./GrpcWebExchange.ts"

const message = (payload: Uint8Array, flag = 0): Buffer => {
  const prefix = Buffer.alloc(5)
  prefix[0] = flag
  prefix.writeUInt32BE(payload.length, 1)
  return Buffer.concat([prefix, payload])
}

/** Flag and payload of each message; undefined: it does not end with one. */
const messagesOf = (body: Buffer): ReadonlyArray<readonly [number, Buffer]> | undefined => {
  const messages: Array<readonly [number, Buffer]> = []
  let at = 0
  while (at < body.length) {
    if (body.length - at < 5) return undefined
    const end = at + 5 + body.readUInt32BE(at + 1)
    if (end > body.length) return undefined
    messages.push([body[at]!, body.subarray(at + 5, end)])
    at = end
  }
  return messages
}

const cutInto = (bytes: Buffer, cuts: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const pieces: Array<Buffer> = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const to = at + cuts[i % cuts.length]!
    pieces.push(bytes.subarray(at, to))
    at = to
  }
  return pieces
}

const web = (isText: boolean): WebCall => ({
  ...{ textIn: isText, textOut: isText, suffix: "+proto", cors: [] }
})

const begin = (isText: boolean) => {
  const callee = new ScriptedCallee()
  const receiver = new RecordingReceiver()
  const call = httpCall("POST")
  const head = call.head && { ...call.head, framing: streamBody }
  const stream = asGrpc(callee.dispatch, web(isText), "here")({ ...call, head }, receiver)
  receiver.dispatched = true
  return { callee, receiver, stream }
}

const bodyOf = ({ chunks }: RecordingReceiver, isText: boolean): Buffer => {
  const body = Buffer.concat(chunks)
  if (!isText) return body
  const reader = new Base64Reader()
  const bytes = reader.read(body)
  if (bytes === undefined || !reader.whole) throw new Error("no base64")
  return bytes
}

const ascii = fc.array(
  fc.uint8Array({ maxLength: 40 }).map((bytes) => bytes.map((b) => b & 0x7f)),
  {
    maxLength: 6
  }
)
const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 10 })

const grpcHead = responseHead(200, ["content-type", "application/grpc+proto", "x-head", "1"])

describe("a call of gRPC-Web", () => {
  it("brings its request, however it is cut", () => {
    fc.assert(
      fc.property(ascii, cuts, fc.boolean(), (payloads, at, isText) => {
        const { callee, stream } = begin(isText)
        const body = Buffer.concat(payloads.map((payload) => message(payload)))
        const said = isText ? base64Of(body) : body
        for (const piece of cutInto(said, at)) stream.write(piece)
        stream.end([])
        expect(callee.written.join("")).toBe(body.toString("latin1"))
        expect(callee.ended).toBe(true)
      })
    )
  })

  it("ends with its trailers, or with what the mesh says between messages; else it breaks off", () => {
    fc.assert(
      fc.property(
        ascii,
        cuts,
        fc.boolean(),
        fc.nat(),
        fc.constantFrom<"end" | "fault">("end", "fault"),
        (payloads, at, isText, till, how) => {
          const { callee, receiver } = begin(isText)
          const whole = Buffer.concat(payloads.map((payload) => message(payload)))
          const said = whole.subarray(0, till % (whole.length + 1))
          callee.receiver.onHead(grpcHead)
          for (const piece of cutInto(said, at)) callee.receiver.onData(piece)
          const isBetween = messagesOf(said) !== undefined
          if (how === "end") callee.receiver.onEnd(["grpc-status", "0", "x-trailer", "2"])
          else callee.receiver.onFault(someFault)
          expect(receiver.head?.framing).toEqual(streamBody)
          if (!isBetween) {
            expect(receiver.fault?.code).toBe("upstream_reset")
            return
          }
          expect(receiver.trailers).toEqual([])
          const messages = messagesOf(bodyOf(receiver, isText)) ?? []
          const [flag, last] = messages.at(-1) ?? []
          expect(flag).toBe(0x80)
          expect(String(last)).toMatch(
            how === "end" ? /^grpc-status: 0\r\nx-trailer: 2\r\n$/ : /^grpc-status: 14\r\n/
          )
          expect(Buffer.concat(messages.slice(0, -1).map(([, one]) => message(one)))).toEqual(said)
        }
      )
    )
  })

  it("passes on who wants less, and who has had enough", () => {
    const { callee, receiver, stream } = begin(false)
    callee.takesMore = false
    expect(stream.write(Buffer.from("x"))).toBe(false)
    callee.receiver.onWritable()
    expect(receiver.writables).toBe(1)
    receiver.hungry = false
    callee.receiver.onHead(grpcHead)
    expect(callee.receiver.onData(message(Buffer.from("y")))).toBe(false)
    stream.resume()
    expect(callee.resumes).toBe(1)
    receiver.cancelled = true
    stream.cancel(someFault)
    expect(callee.cancelled).toBe(someFault)
    // Nobody hears of what comes all the same.
    callee.receiver.onData(message(Buffer.from("z")))
    callee.receiver.onFault(someFault)
  })

  it("is told as any other that its own end is gone", () => {
    const { callee, receiver } = begin(false)
    callee.receiver.onFault({ ...someFault, code: "client_gone" })
    expect(receiver.fault?.code).toBe("client_gone")
  })

  it("of a program that says its head alone has its fields told apart", () => {
    const { callee, receiver } = begin(false)
    const fields: Fields = ["Content-Type", "application/grpc", "Grpc-Status", "5", "Date", "now"]
    callee.receiver.onHead(responseHead(200, fields))
    callee.receiver.onEnd([])
    expect(fieldValue(receiver.head?.fields ?? [], "date")).toBe("now")
    expect(fieldValue(receiver.head?.fields ?? [], "grpc-status")).toBeUndefined()
    expect(messagesOf(bodyOf(receiver, false))).toEqual([[0x80, Buffer.from("grpc-status: 5\r\n")]])
  })
})
