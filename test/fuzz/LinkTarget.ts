/**
 * A link whose peer says anything. Whatever comes, the link either understands it or goes down by
 * a ProtocolError: nothing else is thrown, what is held stays within the windows, the contract of
 * Exchange.ts is kept towards this side, and when the link is down nothing is left of it.
 */

import { hostCaller } from "../../src/model/Caller.ts"
import type {
  Call,
  Dispatch,
  RequestStream,
  ResponseHead,
  ResponseReceiver
} from "../../src/model/Exchange.ts"
import { noBody, noFields, streamBody } from "../../src/model/Exchange.ts"
import type { Fault } from "../../src/model/Fault.ts"
import { NodeName, ServiceName } from "../../src/model/Names.ts"
import { AcceptedLink } from "../../src/request/link/AcceptedLink.ts"
import { DialedLink } from "../../src/request/link/DialedLink.ts"
import { FrameType, ProtocolError } from "../../src/request/wire/Frame.ts"
import { FrameDecoder } from "../../src/request/wire/FrameDecoder.ts"
import {
  decodeFault,
  decodeOpening,
  decodeTrailers,
  encodeFault,
  encodeTrailers
} from "../../src/request/wire/FramePayload.ts"
import { http1Heads } from "../../src/request/wire/Http1Heads.ts"
import type { LinkOptions } from "../../src/request/wire/LinkOptions.ts"
import { HandTicker } from "../../src/testing/InboundFixture.ts"
import { Pump, Recorder } from "../../src/testing/LinkTestPair.ts"
import { makeMemoryChannels } from "../../src/testing/MemoryChannel.ts"
import type { Judgement, Target } from "./Differential.ts"
import {
  caller,
  conversation,
  fault,
  frame,
  mutateBytes,
  number,
  opening,
  trailers
} from "./FrameGrammar.ts"

/** Small, so that short inputs come to every bound. */
const limits: NonNullable<LinkOptions["limits"]> = {
  exchanges: 6,
  window: { first: 1_024, least: 256, most: 4_096 },
  linkWindow: 4_096,
  growth: 8_192,
  backlog: 16_384
}

/** An input of a few kilobytes is dealt with in far fewer; more is an endless loop. */
const mostTurns = 3_000

const judgement = (kind: Judgement["outcome"], violation?: string): Judgement => ({
  outcome: kind,
  rule: undefined,
  violation
})

class Setting {
  readonly pump = new Pump()
  readonly ticker = new HandTicker()
  readonly defects: Array<unknown> = []
  /** What the other end was told, and did not ask for. */
  readonly wrong: Array<string> = []
  readonly channels: ReturnType<typeof makeMemoryChannels>
  down: { readonly cause: Error | undefined } | undefined = undefined

  constructor(bytes: Buffer) {
    // How the stream is cut follows from the bytes, so that bytes alone repeat a finding.
    const sizes = [Number.POSITIVE_INFINITY, 1, 7, 8, 9, 1_000]
    const size = sizes[bytes.length % sizes.length]!
    this.channels = makeMemoryChannels({ defer: this.pump.defer, chunks: () => size })
  }

  get options(): LinkOptions {
    return {
      channel: this.channels.right,
      ticker: this.ticker,
      heads: http1Heads,
      node: "host-b",
      remote: caller,
      limits,
      defer: this.pump.defer,
      onDefect: (error) => this.defects.push(error)
    }
  }

  /** The peer says `bytes`, takes what it is told, and hangs up. */
  play(bytes: Buffer, check: () => void): void {
    const peer = this.channels.left
    peer.events = { onData: () => undefined, onDrain: () => undefined, onClose: () => undefined }
    if (bytes.length > 0) peer.write(bytes)
    this.#settle(check)
    peer.close()
    this.#settle(check)
  }

  #settle(check: () => void): void {
    for (let turns = 0; this.pump.turn(); turns++) {
      check()
      if (turns < mostTurns) continue
      this.wrong.push(`not settled after ${mostTurns} turns`)
      return
    }
  }

  judge(left: { exchanges: number }): Judgement {
    const { cause } = this.down ?? {}
    if (this.down === undefined) this.wrong.push("the link is not down after its peer hung up")
    if (cause !== undefined && !(cause instanceof ProtocolError)) {
      this.wrong.push(`down by ${cause.stack}`)
    }
    for (const defect of this.defects) this.wrong.push(`defect ${defect}`)
    if (left.exchanges > 0) this.wrong.push(`${left.exchanges} exchanges are left`)
    if (this.ticker.timers > 0) this.wrong.push(`${this.ticker.timers} timers are left`)
    const violation = this.wrong.length === 0 ? undefined : this.wrong.join("; ")
    return judgement(cause === undefined ? "alike" : "both_refuse", violation)
  }
}

/** A callee that behaves as its service is named, and watches how it is treated. */
class Callee implements RequestStream {
  over = false
  ended = false
  #stalled = false
  #answered = false
  readonly #call: Call
  readonly #receiver: ResponseReceiver
  readonly #setting: Setting

  constructor(call: Call, receiver: ResponseReceiver, setting: Setting) {
    this.#call = call
    this.#receiver = receiver
    this.#setting = setting
    if (call.service === "answer") setting.pump.defer(() => this.#answer())
    else if (call.service === "fault") setting.pump.defer(() => this.#fail())
  }

  write(chunk: Uint8Array): boolean {
    if (this.over) return true // rule 3: ignored
    if (this.ended) this.#setting.wrong.push("write after end")
    if (chunk.length === 0) this.#setting.wrong.push("an empty chunk")
    if (this.#stalled) this.#setting.wrong.push("more than one chunk after false")
    if (this.#call.service === "stall") {
      this.#stalled = true
      return false
    }
    if (this.#call.service === "echo" && this.#call.kind === "tcp") this.#receiver.onData(chunk)
    return true
  }

  end(): void {
    if (this.over) return
    if (this.ended) this.#setting.wrong.push("a second end")
    this.ended = true
    if (this.#answered) this.over = true
    if (this.#call.service === "echo") this.#answer()
  }

  cancel(): void {
    if (this.over) this.#setting.wrong.push("cancelled after it was over")
    this.over = true
  }

  resume(): void {}

  #answer(): void {
    if (this.over || this.#answered) return
    if (this.#call.kind === "http") {
      this.#receiver.onHead({
        status: 200,
        reason: "OK",
        fields: noFields,
        framing: streamBody,
        upgrade: undefined
      })
    }
    this.#receiver.onData(Buffer.from("answer"))
    // A tunnel's other half goes on (Exchange.ts, rule 7); of HTTP the rest is nobody's.
    if (this.#call.kind === "http" || this.ended) this.over = true
    this.#answered = true
    this.#receiver.onEnd(noFields)
  }

  #fail(): void {
    if (this.over) return
    this.over = true
    this.#receiver.onFault({
      code: "upstream_reset",
      message: "broke off",
      node: "host-b",
      service: this.#call.service,
      sent: true
    })
  }
}

const { data, end, reset, credit, ping, pong, goaway, head, info } = FrameType
const saidByCaller = [data, data, end, reset, credit, ping, pong, goaway]
const saidByServer = [head, head, info, data, data, end, reset, credit, ping, pong, goaway]

const serving: Target = {
  name: "link, serving end",
  make: (random) => conversation(random, saidByCaller, true),
  judge: (bytes) => {
    const setting = new Setting(bytes)
    const callees: Array<Callee> = []
    const serve: Dispatch = (call, receiver) => {
      const callee = new Callee(call, receiver, setting)
      callees.push(callee)
      return callee
    }
    const link = new AcceptedLink({
      ...setting.options,
      serve,
      onDown: (cause) => {
        if (setting.down !== undefined) setting.wrong.push("down twice")
        setting.down = { cause }
      }
    })
    setting.play(bytes, () => {
      const { exchanges } = link.stats()
      if (exchanges > 6) setting.wrong.push(`${exchanges} exchanges, more than the limit of 6`)
    })
    if (callees.some((callee) => !callee.over && !callee.ended)) {
      setting.wrong.push("an exchange was not cancelled")
    }
    return setting.judge(link.stats())
  }
}

const gone: Fault = {
  code: "client_gone",
  message: "went away",
  node: "host-b",
  service: undefined,
  sent: true
}
const echo = ServiceName.make("echo")

/** Throws when it is called after the end, which would be a defect. */
class TunnelRecorder extends Recorder {
  callerEnded = false
  readonly #tcp: boolean

  constructor(tcp: boolean) {
    super(false)
    this.#tcp = tcp
  }

  /** The response has ended, but not the request (Exchange.ts, rule 7). */
  get #halfOpen(): boolean {
    const tunnel = this.#tcp || this.head?.status === 101
    return tunnel && this.trailers !== undefined && !this.callerEnded && this.fault === undefined
  }

  override onInfo(head: ResponseHead): void {
    if (head.status > 199 || head.status === 101) throw new Error(`onInfo of ${head.status}`)
    super.onInfo(head)
  }

  override onHead(head: ResponseHead): void {
    if (head.status < 200 && head.status !== 101) throw new Error(`onHead of ${head.status}`)
    super.onHead(head)
  }

  override onFault(fault: Fault): void {
    if (this.#halfOpen) this.fault = fault
    else super.onFault(fault)
  }

  override onWritable(): void {
    if (!this.#halfOpen) super.onWritable()
  }
}

const calling: Target = {
  name: "link, calling end",
  make: (random) => conversation(random, saidByServer, false),
  judge: (bytes) => {
    const setting = new Setting(bytes)
    const link = new DialedLink(setting.options)
    link.events = {
      onDraining: () => undefined,
      onDown: (cause) => {
        if (setting.down !== undefined) setting.wrong.push("down twice")
        setting.down = { cause }
      }
    }
    const call = (kind: Call["kind"]): Call => ({
      kind,
      service: echo,
      head:
        kind === "tcp"
          ? undefined
          : {
              method: "GET",
              target: "/",
              authority: "echo.mesh",
              fields: noFields,
              framing: noBody,
              upgrade: "x",
              expectsContinue: false
            },
      endpoint: undefined,
      caller,
      identity: hostCaller(NodeName.make(caller)),
      deadline: undefined,
      attempt: 0
    })
    const receivers = Array.from({ length: 4 }, (_, i) => new TunnelRecorder(i % 2 === 1))
    const streams = receivers.map((receiver, i) =>
      link.open(call(i % 2 ? "tcp" : "http"), receiver)
    )
    streams[0]?.end(noFields)
    if (receivers[0] !== undefined) receivers[0].callerEnded = true
    streams[1]?.write(Buffer.alloc(3_000))
    if (bytes.length % 3 === 0) streams[2]?.cancel(gone)
    const stalled = receivers[3]
    if (stalled !== undefined) stalled.more = () => false
    setting.play(bytes, () => undefined)
    // What has come whole waits for its reader, also when the link is gone.
    if (stalled !== undefined) stalled.more = () => true
    streams[3]?.resume()
    for (const [i, receiver] of receivers.entries()) {
      if (!receiver.over && !(i === 2 && bytes.length % 3 === 0)) {
        setting.wrong.push(`receiver ${i} was told no end`)
      }
    }
    return setting.judge(link.stats())
  }
}

/** ProtocolError or a value; anything else passes through and is a finding. */
const orRefused = <A>(decode: () => A): A | "refused" => {
  try {
    return decode()
  } catch (error) {
    if (error instanceof ProtocolError) return "refused"
    throw error
  }
}

const framesOf = (pieces: ReadonlyArray<Buffer>): string => {
  let seen = ""
  const decoder = new FrameDecoder((type, exchange, payload) => {
    seen += `${type}/${exchange}/${payload.toString("latin1")}\n`
  })
  for (const piece of pieces)
    if (orRefused(() => decoder.push(piece)) === "refused") return `${seen}!`
  return seen
}

const kinds = ["opening", "trailers", "fault", "frames"] as const

/** The payload's codecs alone; the first byte says which. */
const payloads: Target = {
  name: "link, payloads",
  make: (random) => {
    const kind = random.below(kinds.length)
    let bytes: Buffer
    if (kind === 0) bytes = opening(random)
    else if (kind === 1) bytes = trailers(random)
    else if (kind === 2) bytes = fault(random)
    else
      bytes = Buffer.concat([
        frame(8, 0, number(1)),
        frame(4, 7, Buffer.from("data")),
        opening(random)
      ])
    for (let left = random.below(4); left > 0; left--) bytes = mutateBytes(random, bytes)
    return Buffer.concat([Buffer.from([kind]), bytes])
  },
  judge: (bytes) => {
    const kind = kinds[(bytes[0] ?? 0) % kinds.length]!
    const payload = bytes.subarray(1)
    switch (kind) {
      case "opening": {
        const decoded = orRefused(() => decodeOpening(payload))
        if (decoded === "refused") return judgement("both_refuse")
        return decoded.head > payload.length
          ? judgement("alike", "a head that begins beyond its frame")
          : judgement("alike")
      }
      case "trailers": {
        const decoded = orRefused(() => decodeTrailers(payload))
        if (decoded === "refused") return judgement("both_refuse")
        const again = encodeTrailers(decoded)
        return again?.equals(payload) === true
          ? judgement("alike")
          : judgement("alike", `trailers ${JSON.stringify(decoded)} encode to other bytes`)
      }
      case "fault": {
        const decoded = orRefused(() => decodeFault(payload))
        if (decoded === "refused") return judgement("both_refuse")
        const again = decodeFault(encodeFault(decoded))
        return again.code === decoded.code && again.sent === decoded.sent
          ? judgement("alike")
          : judgement("alike", "a fault that does not survive")
      }
      case "frames": {
        const whole = framesOf([payload])
        const bytewise = framesOf(Array.from(payload, (_, i) => payload.subarray(i, i + 1)))
        if (whole !== bytewise) {
          return judgement(
            "alike",
            `whole ${JSON.stringify(whole)}, bytewise ${JSON.stringify(bytewise)}`
          )
        }
        return judgement(whole.endsWith("!") ? "both_refuse" : "alike")
      }
    }
  }
}

export const linkTargets = { serving, calling, payloads }
