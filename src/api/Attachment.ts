/**
 * A program's hold on its host's node: the connection `control`, made again for ever (NodeTries.ts), and
 * the links that hang on it (NodeLinks.ts). What was asked and what is offered is said again to a node that was started
 * again; calls that come while there is none wait.
 */
import { contain } from "../model/Defect.ts"
import type { Dispatch } from "../model/Exchange.ts"
import type { ServiceName } from "../model/Names.ts"
import { namingVersion } from "../request/wire/ProgramHello.ts"
import type { ActorQuestion } from "../schema/ActorReportSchema.ts"
import type { ProgramOffer } from "../schema/ProgramOfferSchema.ts"
import {
  maxOffers,
  maxQuestions,
  type NodeWord,
  type ProgramQuestion,
  type ProgramWord,
  type Welcome
} from "../schema/ProgramTalkSchema.ts"
import type { ActorReporter } from "./ActorReporters.ts"
import { ControlTalk } from "./ControlTalk.ts"
import { LinkNews } from "./LinkNews.ts"
import type { NodeConnection } from "./NodeDial.ts"
import { NodeDirectory } from "./NodeDirectory.ts"
import { NodeLinks } from "./NodeLinks.ts"
import { NodeTries, type NodeTriesOptions, type NoNode } from "./NodeTries.ts"
import { type Hearer, ServiceQuestions } from "./ServiceQuestions.ts"
import { ToldOffers } from "./ToldOffers.ts"
import { WaitingCalls } from "./WaitingCalls.ts"

export interface AttachmentOptions extends NodeTriesOptions {
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
  #control: ControlTalk | undefined
  readonly #tries: NodeTries
  #lastId = 0
  #stopped = false
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
    this.#tries = new NodeTries(options, {
      welcome: () => this.#welcome,
      onAttached: (welcome, connection) => this.#attached(welcome, connection),
      onFailed: (why) => this.onFailed(why)
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
    this.#tries.begin()
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
    this.#tries.stop()
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
    this.#tries.abort()
    this.#control?.end()
    this.#control = undefined
  }

  // ── The node ────────────────────────────────────────────────────────────────────────────────

  #attached(welcome: Welcome, connection: NodeConnection): void {
    const isNew = this.#welcome?.pass !== welcome.pass
    const again = this.#welcome !== undefined
    this.#welcome = welcome
    const control: ControlTalk = new ControlTalk(connection.socket, {
      onWord: (word) => this.#heard(word),
      onEnd: (reason) => this.#lost(control, reason)
    })
    this.#control = control
    if (again) {
      this.#options.log("info", `attached again to the node ${welcome.node}`)
    }
    control.listen(connection)
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
      onUnknown: () => this.#control?.break()
    })
  }

  #lost(control: ControlTalk, reason: string): void {
    if (this.#control !== control) return
    this.#control = undefined
    this.#tries.lost(reason)
  }

  #heard(word: NodeWord): void {
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
    return this.#control?.write(word) === true
  }

  get #noNodeText(): string {
    const { address } = this.#options
    return this.#control === undefined
      ? `the program is not attached to a node at ${address}: ${this.#tries.noNode.reason}`
      : `no request thread of the node at ${address} takes a link of the program`
  }
}
