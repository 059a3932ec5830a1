/**
 * The connection `control` of one program: it is attached for as long as this is open. The first line is
 * its hello (request/wire/ProgramHello.ts), the others are questions (schema/ProgramTalkSchema.ts).
 */
import type { Socket } from "node:net"
import { Effect, Either, Schema } from "effect"
import type { Caller } from "../model/Caller.ts"
import { formatCaller } from "../model/Caller.ts"
import type { OnDefect } from "../model/Defect.ts"
import type { MeshId, NodeName, PeerKey, ServiceName } from "../model/Names.ts"
import { ProtocolError } from "../request/wire/Frame.ts"
import { Lines } from "../request/wire/Lines.ts"
import {
  actorsVersion,
  helloBytes,
  helloTimeout,
  isRefused,
  parseObject,
  type Refused,
  readHello,
  refusalLine
} from "../request/wire/ProgramHello.ts"
import type { ActorQuestion, ActorReports } from "../schema/ActorReportSchema.ts"
import type { ServeRefused } from "../schema/ProgramOfferSchema.ts"
import {
  ActorsAsked,
  AttachAsk,
  EndpointNews,
  maxAsked,
  maxFollowed,
  maxQuestions,
  NodeAnswer,
  type ProgramQuestion,
  ProgramWord,
  talkBytes,
  Welcome
} from "../schema/ProgramTalkSchema.ts"
import type { Attached } from "./AttachedPrograms.ts"
import type { NewsSink } from "./EndpointFollower.ts"

/** Why one is not taken, or what it is from now on. */
export type Admission = { readonly attached: Attached } | { readonly refused: Refused }

/** Why a program says nothing, for people. */
export interface NoReports {
  readonly reason: string
}

/** What has one answer. */
export type AnsweredOnce = Exclude<ProgramQuestion, { readonly type: "cancel" | "follow" }>

export interface ProgramControlContext {
  readonly self: {
    readonly node: NodeName
    readonly peer: PeerKey
    readonly mesh: MeshId
    readonly zone?: string | undefined
  }
  readonly links: Welcome["links"]
  readonly threads: number
  /** For whom a program speaks that comes here. */
  readonly identity: Caller
  /** Milliseconds. */
  readonly drainDeadline: () => number
  readonly admit: (control: ProgramControl, ask: AttachAsk) => Admission
  /** What is not done of it, and why. */
  readonly answer: (
    program: string,
    question: AnsweredOnce
  ) => Effect.Effect<ReadonlyArray<ServeRefused>>
  /** Tells who offers a service, and what changes of it; returns how to stop. */
  readonly follow: (service: ServiceName, sink: NewsSink) => () => void
  /** Runs it until it is done or what is returned is called. */
  readonly run: (effect: Effect.Effect<void>) => () => void
  readonly onRefused: (refused: Refused) => void
  readonly onDefect: OnDefect
  readonly onClosed: (control: ProgramControl) => void
}

const nothing = (): void => undefined

const decodeAsk = Schema.decodeUnknownEither(AttachAsk)
const decodeWord = Schema.decodeUnknownEither(ProgramWord)
const encodeAsked = Schema.encodeSync(ActorsAsked)
const encodeAnswer = Schema.encodeSync(NodeAnswer)
const encodeNews = Schema.encodeSync(EndpointNews)
const encodeWelcome = Schema.encodeSync(Welcome)

export class ProgramControl {
  readonly #socket: Socket
  readonly #context: ProgramControlContext
  #program: Attached | undefined
  #lines = new Lines(helloBytes)
  readonly #questions = new Map<number, () => void>()
  readonly #followed = new Map<number, () => void>()
  /** Questions to the program, by their number. */
  readonly #asked = new Map<number, (answer: ActorReports | NoReports) => void>()
  #lastAsked = 0
  #version = 0
  #closed = false

  constructor(socket: Socket, context: ProgramControlContext) {
    this.#socket = socket
    this.#context = context
    const timer = setTimeout(() => socket.destroy(), helloTimeout)
    socket.on("data", (bytes: Buffer) => this.#onData(bytes, timer))
    socket.on("error", () => undefined)
    socket.on("end", () => socket.end())
    socket.once("close", () => {
      clearTimeout(timer)
      this.#onClose()
    })
  }

  /** What it is attached as; undefined: it has not said its hello. */
  get program(): Attached | undefined {
    return this.#program
  }

  close(): void {
    this.#socket.destroy()
  }

  /**
   * Asks the program how its actors fare. Answers once, or never: it may not answer. Returns how to wait no
   * longer.
   */
  askActors(question: ActorQuestion, then: (answer: ActorReports | NoReports) => void): () => void {
    const none = this.#whyNotAsked
    if (none !== undefined) {
      then(none)
      return nothing
    }
    const id = ++this.#lastAsked
    const forget = (): void => void this.#asked.delete(id)
    this.#asked.set(id, (answer) => {
      forget()
      then(answer)
    })
    this.#socket.write(`${JSON.stringify(encodeAsked({ type: "actors", id, question }))}\n`)
    return forget
  }

  get #whyNotAsked(): NoReports | undefined {
    if (this.#closed || !this.#socket.writable) return { reason: "it is not attached any more" }
    if (this.#version < actorsVersion) {
      return { reason: "its library is of a release that does not answer this: upgrade it" }
    }
    const isStuck = this.#asked.size >= maxAsked || this.#socket.writableLength > talkBytes
    return isStuck ? { reason: "it does not answer" } : undefined
  }

  #onData(bytes: Buffer, timer: NodeJS.Timeout): void {
    if (this.#closed) return
    try {
      this.#lines.push(bytes)
      for (let line = this.#lines.next(); line !== undefined; line = this.#lines.next()) {
        if (this.#program !== undefined) this.#question(this.#program, line)
        else if (this.#socket.writable) {
          clearTimeout(timer)
          this.#hello(line)
        }
      }
    } catch (error) {
      if (error instanceof ProtocolError) {
        this.#refuse({ code: "bad_hello", message: error.message })
        return
      }
      this.#context.onDefect(error, "a program that attaches")
      this.#socket.destroy()
    }
  }

  #hello(line: string): void {
    const { admit, drainDeadline, identity, links, self, threads } = this.#context
    const hello = readHello(line)
    if (isRefused(hello)) {
      this.#refuse(hello)
      return
    }
    const asked = decodeAsk(parseObject(line))
    if (hello.role !== "control" || Either.isLeft(asked)) {
      const message = "a program attaches here with a hello of role control, and its name"
      this.#refuse({ code: "bad_hello", message })
      return
    }
    const admission = admit(this, asked.right)
    if ("refused" in admission) {
      this.#refuse(admission.refused)
      return
    }
    const { attached } = admission
    this.#program = attached
    this.#version = hello.version
    const rest = this.#lines.rest()
    this.#lines = new Lines(talkBytes)
    this.#lines.push(rest)
    const { id: program, pass } = attached
    const welcome = encodeWelcome({
      ...{ version: hello.version, ...self, identity: formatCaller(identity) },
      ...{ program, pass, links, threads, drainDeadline: drainDeadline() }
    })
    this.#socket.write(`${JSON.stringify(welcome)}\n`)
  }

  #question({ id: program }: Attached, line: string): void {
    const read = decodeWord(parseObject(line))
    // Of a later version, or a mistake of the program's: it waits for its answer in vain.
    if (Either.isLeft(read)) return
    if (read.right.type === "actors") {
      // Nobody waits for it any more, where it comes late.
      this.#asked.get(read.right.id)?.(read.right.reports)
      return
    }
    const question = read.right
    const { id, type } = question
    if (type === "cancel") {
      for (const open of [this.#questions, this.#followed]) {
        open.get(id)?.()
        open.delete(id)
      }
      return
    }
    if (this.#questions.has(id) || this.#followed.has(id))
      throw new ProtocolError("two questions of one number")
    if (type === "follow") {
      this.#follow(id, question.service)
      return
    }
    if (this.#questions.size >= maxQuestions) throw new ProtocolError("too many questions")
    const { answer, run } = this.#context
    let done = false
    const stop = run(
      Effect.map(answer(program, question), (refused) => {
        done = true
        this.#questions.delete(id)
        if (this.#closed) return
        // It asks, and reads no answers.
        if (this.#socket.writableLength > talkBytes) this.#socket.destroy()
        this.#socket.write(`${JSON.stringify(encodeAnswer({ type: "answer", id, refused }))}\n`)
      })
    )
    if (!done) this.#questions.set(id, stop)
  }

  #follow(id: number, service: ServiceName): void {
    if (this.#followed.size >= maxFollowed) throw new ProtocolError("too many services followed")
    const stop = this.#context.follow(service, {
      // Who reads slowly hears less often.
      ready: () => this.#socket.writableLength < talkBytes,
      tell: (news) => {
        if (this.#closed || !this.#socket.writable) return
        this.#socket.write(`${JSON.stringify(encodeNews({ type: "endpoints", id, ...news }))}\n`)
      }
    })
    this.#followed.set(id, stop)
  }

  #refuse(refused: Refused): void {
    this.#context.onRefused(refused)
    this.#socket.end(refusalLine(refused))
    setTimeout(() => this.#socket.destroy(), helloTimeout).unref()
  }

  #onClose(): void {
    if (this.#closed) return
    this.#closed = true
    for (const stop of this.#questions.values()) stop()
    this.#questions.clear()
    for (const stop of this.#followed.values()) stop()
    this.#followed.clear()
    for (const then of [...this.#asked.values()]) then({ reason: "it has gone" })
    this.#context.onClosed(this)
  }
}
