/** A program's tries to be attached to its host's node: one after the other, with pauses that grow while they fail. */
import { Either, Schema } from "effect"
import { contain, type OnDefect } from "../model/Defect.ts"
import type { Log } from "../model/Log.ts"
import { reasonOf } from "../model/Reason.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import {
  isRefused,
  programVersions,
  type Refused,
  readControlAnswer
} from "../request/wire/ProgramHello.ts"
import { Welcome } from "../schema/ProgramTalkSchema.ts"
import { dialNode, type NodeConnection, type NodePlace } from "./NodeDial.ts"

/** Where the node is, and what it is told of the program. */
export interface NodeTriesOptions {
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
}

export interface TriesHearer {
  /** What the node said last; undefined: there was none yet. */
  readonly welcome: () => Welcome | undefined
  readonly onAttached: (welcome: Welcome, connection: NodeConnection) => void
  /** A try has failed; another one follows. */
  readonly onFailed: (why: NoNode) => void
}

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

export class NodeTries {
  readonly #options: NodeTriesOptions
  readonly #hearer: TriesHearer
  #failures = 0
  #attachedAt = 0
  #pause: Timer | undefined
  #stopped = false
  readonly #abort = new AbortController()
  #noNode: NoNode = { refused: undefined, reason: "not yet tried" }

  constructor(options: NodeTriesOptions, hearer: TriesHearer) {
    this.#options = options
    this.#hearer = hearer
  }

  /** Why there is none. */
  get noNode(): NoNode {
    return this.#noNode
  }

  /** No more of them; one that is under way goes on until it is aborted. */
  stop(): void {
    this.#stopped = true
    this.#pause?.cancel()
  }

  abort(): void {
    this.#abort.abort()
  }

  begin(): void {
    if (this.#stopped) return
    const { name, place, software, token } = this.#options
    const before = this.#hearer.welcome()
    const resume = before && { program: before.program, pass: before.pass }
    const attach = async (): Promise<void> => {
      const hello = {
        ...{ skein: "program", versions: programVersions, role: "control" },
        ...{ name, software, pid: process.pid, token: token(), resume }
      }
      const connection = await dialNode(place, hello, this.#abort.signal)
      const answer = readControlAnswer(connection.line)
      const welcome = answer === undefined || isRefused(answer) ? undefined : decodeWelcome(answer)
      if (welcome !== undefined && Either.isRight(welcome)) {
        this.#attached(welcome.right, connection)
        return
      }
      connection.socket.destroy()
      if (answer !== undefined && isRefused(answer)) this.#failed(answer.message, answer)
      else this.#failed(noneOfSkein)
    }
    attach().catch((error: unknown) => this.#failed(reasonOf(error), undefined, codeOf(error)))
  }

  /** The node is gone: it is tried again, at once if it was there for long. */
  lost(reason: string): void {
    this.#noNode = { reason, refused: undefined }
    if (this.#stopped) return
    const { address, log, ticker } = this.#options
    log("warning", `the node at ${address} is gone (${reason}); it is tried again until it is back`)
    if (ticker.now() - this.#attachedAt < stableAfter) this.#later()
    else {
      this.#failures = 0
      this.begin()
    }
  }

  #failed(reason: string, refused?: Refused, code?: string): void {
    if (this.#stopped) return
    const before = this.#noNode
    this.#noNode = { reason, refused, code }
    if (refused !== undefined && before.reason !== reason) {
      this.#options.log("warning", `the node at ${this.#options.address} refuses: ${reason}`)
    }
    const tell = (): void => this.#hearer.onFailed(this.#noNode)
    contain(this.#options.onDefect, "who waits for a node", tell)
    this.#later()
  }

  #later(): void {
    const { ticker } = this.#options
    this.#failures++
    const most = Math.min(longestPause, firstPause * 2 ** Math.min(this.#failures - 1, 16))
    this.#pause = ticker.after(most * (0.5 + ticker.random() / 2), () => this.begin())
  }

  #attached(welcome: Welcome, connection: NodeConnection): void {
    if (this.#stopped) {
      connection.socket.destroy()
      return
    }
    this.#attachedAt = this.#options.ticker.now()
    this.#hearer.onAttached(welcome, connection)
  }
}
