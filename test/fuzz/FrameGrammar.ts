/** What a peer may put on a link, right and wrong: frames as they are, mutated, and plain noise. */

import { hostCaller, serviceCaller } from "../../src/model/Caller.ts"
import type { Call } from "../../src/model/Exchange.ts"
import { noBody, noFields, streamBody } from "../../src/model/Exchange.ts"
import { faultKinds, isFaultCode } from "../../src/model/Fault.ts"
import { NodeName, PeerKey, ServiceName } from "../../src/model/Names.ts"
import { encodeRequestHead, encodeResponseHead } from "../../src/request/http1/Encode.ts"
import { endsWith, FrameType, headerLength } from "../../src/request/wire/Frame.ts"
import { encodeFault, encodeOpening, encodeTrailers } from "../../src/request/wire/FramePayload.ts"
import type { Random } from "./Random.ts"

export const caller = PeerKey.make("12D3KooWTestTestTestTestTest")
const services = ["echo", "stall", "answer", "fault", "ignore"].map((name) =>
  ServiceName.make(name)
)
const faultCodes = Object.keys(faultKinds).filter(isFaultCode)
const nothing = Buffer.alloc(0)

export const frame = (type: number, exchange: number, payload: Uint8Array = nothing): Buffer => {
  const bytes = Buffer.alloc(headerLength + payload.length)
  bytes.writeUInt32BE((payload.length % 2 ** 24) * 256 + type, 0)
  bytes.writeUInt32BE(exchange, 4)
  bytes.set(payload, headerLength)
  return bytes
}

export const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

const head = {
  method: "POST",
  target: "/",
  authority: "echo.mesh",
  fields: ["x-a", "b"],
  framing: streamBody,
  upgrade: undefined,
  expectsContinue: false
}

/** One is none that a node may speak for on a link. */
const identities = [
  undefined,
  undefined,
  ...services.map((name) => serviceCaller(name)),
  hostCaller(NodeName.make("host-z"))
]

const callOf = (random: Random): Call => {
  const kind = random.chance(0.3) ? "tcp" : "http"
  return {
    kind,
    service: random.pick(services),
    head: kind === "tcp" ? undefined : head,
    endpoint: random.pick([undefined, "0", "", "é€", "x".repeat(300)]),
    caller,
    identity: hostCaller(NodeName.make(caller)),
    deadline: random.pick([undefined, 0, 1, 5_000]),
    attempt: random.below(300)
  }
}

const requestText = (random: Random): string => {
  const method = random.pick(["POST", "GET", "HEAD", "CONNECT"])
  return encodeRequestHead(
    method === "POST" ? head : { ...head, method, framing: noBody, target: "/x" }
  )
}

const responseText = (random: Random): string => {
  const status = random.pick([200, 200, 204, 304, 101, 100, 103, 500])
  return encodeResponseHead(
    {
      status,
      reason: "OK",
      fields: noFields,
      framing: status === 204 ? noBody : random.pick([streamBody, noBody]),
      upgrade: status === 101 ? "x" : undefined
    },
    { method: "GET", version: 1, keepAlive: true }
  )
}

const noise = (random: Random, most: number): Buffer =>
  Buffer.from(Array.from({ length: random.below(most) }, () => random.below(256)))

/** Of a section; mostly none, since one that was not sent ends the link. */
const numberOf = (random: Random): number => random.pick([0, 0, 0, 0, 0, 0, 1, 2])

const sections = [
  "",
  "x-b: c\r\n",
  "Date: now\r\nTE: trailers\r\n",
  "host: x\r\n",
  "content-length: 3\r\n"
]

export const opening = (random: Random): Buffer => {
  const call = callOf(random)
  const text = call.kind === "tcp" ? "" : requestText(random)
  const frame = encodeOpening(call, numberOf(random), random.pick(identities))
  return Buffer.concat([frame, Buffer.from(text, "latin1")])
}

export const trailers = (random: Random): Buffer =>
  encodeTrailers(random.pick([[], ["x-sum", "1"], ["a", "", "b", "\xe9"]])) ?? nothing

export const fault = (random: Random): Buffer =>
  encodeFault({
    code: random.pick(faultCodes),
    message: random.pick(["", "broke off", "\u0000\u{1f600}"]),
    node: "host-x",
    service: random.pick([undefined, ...services]),
    sent: random.chance(0.5),
    ...(random.chance(0.2) ? { retryAfter: random.below(100) } : {})
  })

const payloadOf = (type: number, random: Random): Buffer => {
  switch (type) {
    case FrameType.open:
      return opening(random)
    case FrameType.head:
    case FrameType.info:
      return Buffer.concat([
        Buffer.of(numberOf(random)),
        Buffer.from(responseText(random), "latin1")
      ])
    case FrameType.section:
      return Buffer.from(`${random.pick(sections)}\r\n`, "latin1")
    case FrameType.data:
      return Buffer.alloc(random.pick([0, 1, 10, 200, 200, 1_024, 1_025]), 0x78)
    case FrameType.end:
      return trailers(random)
    case FrameType.reset:
      return fault(random)
    case FrameType.goaway:
      return Buffer.from("bye")
    case FrameType.credit:
      return number(random.pick([0, 1, 1_000, 70_000, 0x7fffffff, 0xffffffff]))
    default:
      return number(random.below(5))
  }
}

/** Any byte, changed, taken out or put in. */
export const mutateBytes = (random: Random, bytes: Buffer): Buffer => {
  const at = random.below(bytes.length + 1)
  switch (random.below(4)) {
    case 0:
      return Buffer.concat([bytes.subarray(0, at), noise(random, 4), bytes.subarray(at)])
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(4))])
    default: {
      if (bytes.length === 0) return noise(random, 4)
      const changed = Buffer.from(bytes)
      changed[at % bytes.length] = random.below(256)
      return changed
    }
  }
}

/** What a peer says on a link, mostly in an order that makes sense. `types`: what its side may say. */
export const conversation = (
  random: Random,
  types: ReadonlyArray<number>,
  opens: boolean
): Buffer => {
  const frames: Array<Buffer> = []
  let last = opens ? 0 : 4
  while (random.chance(0.85)) {
    const open = opens && (last === 0 || random.chance(0.25))
    const type = open ? FrameType.open : random.chance(0.96) ? random.pick(types) : random.below(14)
    if (type === FrameType.open) last += random.chance(0.95) ? 1 : random.below(3)
    const section = type === FrameType.section
    const link = type >= FrameType.ping || (type === FrameType.credit && random.chance(0.3))
    const exchange = open
      ? last
      : section
        ? random.pick([1, 1, 1, 2, 2, 0, 129])
        : link
          ? 0
          : 1 + random.below(Math.max(1, last))
    let payload = payloadOf(type, random)
    if (random.chance(0.04)) payload = mutateBytes(random, payload)
    const said = random.chance(0.1) ? type | endsWith : type
    frames.push(frame(said, random.chance(0.98) ? exchange : random.below(2 ** 32), payload))
  }
  let bytes: Buffer = Buffer.concat(frames)
  if (random.chance(0.15)) bytes = mutateBytes(random, bytes)
  return random.chance(0.03) ? noise(random, 200) : bytes
}
