/**
 * A program's hold on its host's node: the connection `control`, made again for ever, and the links that
 * hang on it (NodeLinks.ts). What was asked and what is offered is said again to a node that was started
 * again; calls that come while there is none wait.
 */
import type { Socket } from "node:net"
import { Either, Schema } from "effect"
import { contain, type OnDefect } from "../model/Defect.ts"
import type { Dispatch } from "../model/Exchange.ts"
import type { Log } from "../model/Log.ts"
import type { ServiceName } from "../model/Names.ts"
import { reasonOf } from "../model/Reason.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import { Lines } from "../request/wire/Lines.ts"
import {
  isRefused,
  namingVersion,
  parseObject,
  programVersions,
  type Refused,
  readControlAnswer
} from "../request/wire/ProgramHello.ts"
import type { ActorQuestion } from "../schema/ActorReportSchema.ts"
import type { ProgramOffer } from "../schema/ProgramOfferSchema.ts"
import {
  maxOffers,
  maxQuestions,
  NodeWord,
  type ProgramQuestion,
  ProgramWord,
  talkBytes,
  Welcome
} from "../schema/ProgramTalkSchema.ts"
import type { ActorReporter } from "./ActorReporters.ts"
import { LinkNews } from "./LinkNews.ts"
import { dialNode, type NodePlace } from "./NodeDial.ts"
import { NodeDirectory } from "./NodeDirectory.ts"
import { NodeLinks } from "./NodeLinks.ts"
import { type Hearer, ServiceQuestions } from "./ServiceQuestions.ts"
import { ToldOffers } from "./ToldOffers.ts"
import { WaitingCalls } from "./WaitingCalls.ts"

export interface AttachmentOptions {
  readonly place: NodePlace
  /** For people: the place as it was written. */
  readonly address: string
  /** For people: what the program is called. */
  readonly name: string
  readonly software: string
  /** The secret of the node's file, read anew at each try; undefined: none is needed. */
  readonly token: () => string | undefined
  readonly ticker: Ticker
  readonly log: Log
  readonly onDefect: OnDefect
  /** Where calls to this program go. */
  readonly serve: Dispatch
  /** What this program says of its actors. */
  readonly actors: ActorReporter
  /** How long a call waits for a node at most, ms; less when its deadline is nearer. */
  readonly patience: number
}

type DistributiveOmit<A, K extends PropertyKey> = A extends unknown ? Omit<A, K> : never
type Question = DistributiveOmit<Exclude<ProgramQuestion, { readonly type: "cancel" }>, "id">

/** What a program asks about services. */
export type Asking = "mayServe" | "await"

/** As a program may serve no more services, it has no use for more questions whether it may. */
const maxChecks = maxOffers
/** The one that is left over is what it serves: however much it asks, that is told. */
const maxAwaits = maxQuestions - maxChecks - 1

/** Why there is no node, as far as is known. */
export interface NoNode {
  readonly refused: Refused | undefined
  readonly reason: string
  /** Of the system (`ENOENT`), where that has said it. */
  readonly code?: string | undefined
}

/** Pause before the node is tried again, ms; doubles while that fails. */
const firstPause = 10
const longestPause = 1_000
/** Who was attached for so long is at once attached again, ms: a node that ends it soon is not hurried. */
const stableAfter = 1_000

const noneOfSkein =
  "what listens there does not answer as a node of Skein does: another program has the place, or it is not the one in `programs.listen` of the node's config"

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined

const decodeWelcome = Schema.decodeUnknownEither(Welcome)
const decodeWord = Schema.decodeUnknownEither(NodeWord)
const encodeWord = Schema.encodeSync(ProgramWord)

export class Attachment {
  readonly #options: AttachmentOptions
  readonly #questions: Readonly<Record<Asking, ServiceQuestions>>
  readonly #offers: ToldOffers
  readonly #waiting: WaitingCalls
  readonly #news: LinkNews
  /** Who offers what, as the node says. */
  readonly directory: NodeDirectory
  #welcome: Welcome | undefined
  #links: NodeLinks | undefined
  #control: Socket | undefined
  #lastId = 0
  #failures = 0
  #attachedAt = 0
  #pause: Timer | undefined
  #stopped = false
  readonly #abort = new AbortController()
  #noNode: NoNode = { refused: undefined, reason: "not yet tried" }
  /** Hears that it is attached, each time. */
  onAttached: () => void = () => undefined
  /** Hears that a try has failed, each time. */
  onFailed: (why: NoNode) => void = () => undefined

  constructor(options: AttachmentOptions) {
    this.#options = options
    const { log, onDefect, patience, ticker } = options
    const questions = (type: Asking, limit: number) =>
      new ServiceQuestions({
        ...{ limit, ticker },
        say: (service) => this.#say({ type, service }),
        cancel: (id) => this.#write({ type: "cancel", id })
      })
    this.#questions = {
      mayServe: questions("mayServe", maxChecks),
      await: questions("await", maxAwaits)
    }
    this.#offers = new ToldOffers({
      ticker,
      say: (offers) => this.#say({ type: "serve", offers }),
      links: () => (this.#control === undefined ? undefined : this.#links),
      onRefused: (refused) => {
        for (const { message } of refused) log("error", message)
      }
    })
    this.directory = new NodeDirectory({
      say: (service) => this.#sayFollow(service),
      cancel: (id) => this.#write({ type: "cancel", id }),
      zone: () => this.#welcome?.zone,
      onDefect
    })
    this.#news = new LinkNews({
      ...{ ticker, log },
      node: () => this.#welcome?.node ?? "none",
      isAttached: () => this.isAttached
    })
    this.#waiting = new WaitingCalls({
      ...{ onDefect, patience, ticker },
      node: () => this.#welcome?.node ?? "none",
      reason: () => this.#noNodeText
    })
  }

  start(): void {
    this.#dial()
  }

  get isAttached(): boolean {
    return this.#control !== undefined
  }

  /** What the node said last; undefined: there was none yet. */
  get welcome(): Welcome | undefined {
    return this.#welcome
  }

  readonly dispatch: Dispatch = (call, receiver) => {
    const open = this.#links?.next()
    return open === undefined ? this.#waiting.wait(call, receiver) : open(call, receiver)
  }

  /** Asks the node, now or once there is one. Returns how to ask no more. */
  ask(type: Asking, service: ServiceName, then: Hearer): () => void {
    return this.#questions[type].ask(service, then)
  }

  /**
   * All that this program serves from now on, and again after each break. `then`: the node knows. Returns
   * how to wait for that no more.
   */
  offer(offers: ReadonlyArray<ProgramOffer>, then: () => void): () => void {
    return this.#offers.tell(offers, then)
  }

  /** Ends what was begun, and then the connection. */
  async stop(patience: number): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    this.#pause?.cancel()
    this.#news.stop()
    this.#offers.stop()
    this.#waiting.end("the program is ending")
    const links = this.#links
    if (links !== undefined) {
      const { ticker } = this.#options
      const late = new Promise<void>((resolve) => void ticker.after(patience, resolve))
      await Promise.race([links.drain("the program is ending"), late])
      links.stop(new Error("the program is ending"))
    }
    this.#abort.abort()
    this.#control?.destroySoon()
    this.#control = undefined
  }

  // ── The node ────────────────────────────────────────────────────────────────────────────────

  #dial(): void {
    if (this.#stopped) return
    const { name, place, software, token } = this.#options
    const resume = this.#welcome && { program: this.#welcome.program, pass: this.#welcome.pass }
    const attach = async (): Promise<void> => {
      const hello = {
        ...{ skein: "program", versions: programVersions, role: "control" },
        ...{ name, software, pid: process.pid, token: token(), resume }
      }
      const { line, rest, socket } = await dialNode(place, hello, this.#abort.signal)
      const answer = readControlAnswer(line)
      const welcome = answer === undefined || isRefused(answer) ? undefined : decodeWelcome(answer)
      if (welcome !== undefined && Either.isRight(welcome)) {
        this.#attached(welcome.right, socket, rest)
        return
      }
      socket.destroy()
      if (answer !== undefined && isRefused(answer)) this.#failed(answer.message, answer)
      else this.#failed(noneOfSkein)
    }
    attach().catch((error: unknown) => this.#failed(reasonOf(error), undefined, codeOf(error)))
  }

  #failed(reason: string, refused?: Refused, code?: string): void {
    if (this.#stopped) return
    const before = this.#noNode
    this.#noNode = { reason, refused, code }
    if (refused !== undefined && before.reason !== reason) {
      this.#options.log("warning", `the node at ${this.#options.address} refuses: ${reason}`)
    }
    contain(this.#options.onDefect, "who waits for a node", () => this.onFailed(this.#noNode))
    this.#dialLater()
  }

  #dialLater(): void {
    const { ticker } = this.#options
    this.#failures++
    const most = Math.min(longestPause, firstPause * 2 ** Math.min(this.#failures - 1, 16))
    this.#pause = ticker.after(most * (0.5 + ticker.random() / 2), () => this.#dial())
  }

  #attached(welcome: Welcome, socket: Socket, rest: Buffer): void {
    if (this.#stopped) {
      socket.destroy()
      return
    }
    const isNew = this.#welcome?.pass !== welcome.pass
    const again = this.#welcome !== undefined
    this.#welcome = welcome
    this.#control = socket
    this.#attachedAt = this.#options.ticker.now()
    if (again) {
      this.#options.log("info", `attached again to the node ${welcome.node}`)
    }
    this.#listen(socket, rest)
    if (isNew) this.#renewLinks(welcome)
    this.directory.renew()
    this.#questions.mayServe.renew()
    this.#questions.await.renew()
    this.#offers.renew()
    contain(this.#options.onDefect, "who waits for a node", () => this.onAttached())
  }

  #renewLinks(welcome: Welcome): void {
    const { onDefect, serve, ticker } = this.#options
    this.#links?.stop(new Error("the program is attached anew"))
    this.#news.forget()
    this.#links = new NodeLinks({
      ...{ welcome, ticker, serve, onDefect },
      onUp: () => this.#waiting.release(this.dispatch),
      onBroken: (why) => this.#news.broken(why),
      onWhole: () => this.#news.whole(),
      onUnknown: () => this.#control?.destroy()
    })
  }

  #listen(socket: Socket, rest: Buffer): void {
    const lines = new Lines(talkBytes)
    const onData = (bytes: Buffer): void => {
      try {
        lines.push(bytes)
        for (let line = lines.next(); line !== undefined; line = lines.next()) this.#heard(line)
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    }
    let why = "it closed the connection"
    socket.on("data", onData)
    socket.on("error", (error) => {
      why = error.message
    })
    socket.on("end", () => socket.end())
    socket.once("close", () => this.#lost(socket, why))
    onData(rest)
    socket.resume()
  }

  #lost(socket: Socket, reason: string): void {
    if (this.#control !== socket) return
    this.#control = undefined
    this.#noNode = { reason, refused: undefined }
    if (this.#stopped) return
    const { address, log, ticker } = this.#options
    log("warning", `the node at ${address} is gone (${reason}); it is tried again until it is back`)
    if (ticker.now() - this.#attachedAt < stableAfter) this.#dialLater()
    else {
      this.#failures = 0
      this.#dial()
    }
  }

  #heard(line: string): void {
    const read = decodeWord(parseObject(line))
    // Of a later version.
    if (Either.isLeft(read)) return
    const word = read.right
    if (word.type === "endpoints") {
      this.directory.heard(word)
      return
    }
    if (word.type === "actors") {
      this.#tellActors(word.id, word.question)
      return
    }
    const { id, refused } = word
    const { await: awaits, mayServe } = this.#questions
    // An answer that nobody waits for any more is no one's.
    if (awaits.answered(id, refused) || mayServe.answered(id, refused)) return
    this.#offers.answered(id, refused)
  }

  /** One that breaks here answers nothing, and its node says so. */
  #tellActors(id: number, question: ActorQuestion): void {
    const { actors, onDefect } = this.#options
    contain(onDefect, "what the program says of its actors", () =>
      this.#write({ type: "actors", id, reports: actors(question) })
    )
  }

  /** Each saying has a number of its own: an answer to a former one is not taken for that to a later. */
  #say(question: Question): number | undefined {
    const id = this.#lastId + 1
    if (!this.#write({ ...question, id })) return undefined
    this.#lastId = id
    return id
  }

  #sayFollow(service: ServiceName): number | undefined {
    const welcome = this.#welcome
    if (this.#control === undefined || welcome === undefined) return undefined
    if (welcome.version >= namingVersion) return this.#say({ type: "follow", service })
    const { node } = welcome
    const message = `the node ${node} is too old to say who offers ${service}: upgrade it`
    this.#options.log("warning", message)
    return undefined
  }

  /** False: there is no node. */
  #write(word: ProgramWord): boolean {
    const control = this.#control
    if (control?.writable !== true) return false
    control.write(`${JSON.stringify(encodeWord(word))}\n`)
    return true
  }

  get #noNodeText(): string {
    const { address } = this.#options
    return this.#control === undefined
      ? `the program is not attached to a node at ${address}: ${this.#noNode.reason}`
      : `no request thread of the node at ${address} takes a link of the program`
  }
}
