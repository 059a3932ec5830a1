/**
 * The links of an attached program to the request threads of its node: one to each on which it calls,
 * and, once it serves, one to each on which it is called. One that breaks is made again for as long as
 * the program is attached.
 */

import { programPath } from "../model/AttachedProgram.ts"
import type { OnDefect } from "../model/Defect.ts"
import type { Dispatch } from "../model/Exchange.ts"
import { refuse } from "../model/RefusedExchange.ts"
import type { Ticker } from "../model/Time.ts"
import type { Timer } from "../model/TimerWheel.ts"
import { AcceptedLink } from "../request/link/AcceptedLink.ts"
import { DialedLink } from "../request/link/DialedLink.ts"
import { PlainChannel } from "../request/link/PlainChannel.ts"
import { http1Heads } from "../request/wire/Http1Heads.ts"
import {
  type LinkAnswer,
  namingVersion,
  pastVersion,
  programVersions,
  readLinkAnswer
} from "../request/wire/ProgramHello.ts"
import type { Welcome } from "../schema/ProgramTalkSchema.ts"
import { dialNode, type NodeConnection, type NodePlace } from "./NodeDial.ts"

type Role = "calls" | "serves"

export interface NodeLinksOptions {
  readonly welcome: Welcome
  readonly ticker: Ticker
  /** Where calls to this program go. */
  readonly serve: Dispatch
  /** There is a link to call on. */
  readonly onUp: () => void
  /** One is lost, and is made again; and when there are all of them again. */
  readonly onBroken: (why: string) => void
  readonly onWhole: () => void
  /** The node does not know this program any more. */
  readonly onUnknown: () => void
  readonly onDefect: OnDefect
}

interface Link {
  /** Undefined: the node calls on it. */
  readonly calls: { readonly available: boolean; readonly open: Dispatch } | undefined
  readonly drain: (reason: string) => void
  readonly abort: (error: Error) => void
}

/**
 * Calls in a row that go to one thread, of those that are made in one turn of the program's loop. Each call to another
 * one would have every thread on the way woken, read and written to for it alone: what a turn calls goes in few writes.
 */
const callsInARow = 16
/** Pause before a link is made again, ms; doubles while that fails. The first try is at once. */
const firstPause = 10
const longestPause = 1_000
/** A port leads to any thread: so many tries to meet each that has no link yet, for each thread. */
const triesPerThread = 16
/** A thread hears of a program a moment later than the program does. */
const unknownTries = 5

export class NodeLinks {
  readonly #options: NodeLinksOptions
  readonly #links: Readonly<Record<Role, Map<number, Link>>> = {
    calls: new Map(),
    serves: new Map()
  }
  readonly #abort = new AbortController()
  readonly #pauses = new Set<Timer>()
  readonly #waiting = new Set<() => void>()
  #serving = false
  #draining = false
  #broken = false
  #unknown = 0
  /** Which thread's turn it is, and the calls that it has had of it. */
  #thread = 0
  #called = 0
  /** The row ends with this turn of the loop. */
  #ends = false

  constructor(options: NodeLinksOptions) {
    this.#options = options
    this.#begin("calls")
  }

  /** Where the next call goes: threads take turns. Undefined: there is none. */
  next(): Dispatch | undefined {
    const { threads } = this.#options.welcome
    if (this.#called >= callsInARow) this.#nextThread()
    for (let i = 0; i < threads; i++) {
      const link = this.#links.calls.get(this.#thread)?.calls
      if (link?.available === true) {
        this.#called++
        if (!this.#ends) {
          this.#ends = true
          setImmediate(this.#endRow)
        }
        return link.open
      }
      this.#nextThread()
    }
    return undefined
  }

  /** Calls that last, one now and then, would else all be one thread's. */
  readonly #endRow = (): void => {
    this.#ends = false
    if (this.#called > 0) this.#nextThread()
  }

  #nextThread(): void {
    this.#thread = (this.#thread + 1) % this.#options.welcome.threads
    this.#called = 0
  }

  /** Calls back when every thread has a link on which it can call this program; at once if so now. */
  whenServing(then: () => void): () => void {
    if (!this.#serving) {
      this.#serving = true
      this.#begin("serves")
    }
    if (this.#isServing) {
      then()
      return () => undefined
    }
    this.#waiting.add(then)
    return () => this.#waiting.delete(then)
  }

  /** Begins nothing more; what runs goes on. Done when all are closed. */
  drain(reason: string): Promise<void> {
    this.#draining = true
    for (const links of this.#all()) links.drain(reason)
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#all().length === 0) resolve()
        else this.#pauses.add(this.#options.ticker.after(5, look))
      }
      look()
    })
  }

  stop(error: Error): void {
    this.#draining = true
    this.#abort.abort(error)
    for (const pause of this.#pauses) pause.cancel()
    for (const link of this.#all()) link.abort(error)
  }

  get #isServing(): boolean {
    return this.#links.serves.size === this.#options.welcome.threads
  }

  #all(): ReadonlyArray<Link> {
    return [...this.#links.calls.values(), ...this.#links.serves.values()]
  }

  #begin(role: Role): void {
    for (let thread = 0; thread < this.#options.welcome.threads; thread++) {
      this.#dial(role, thread, 0)
    }
  }

  #dial(role: Role, thread: number, failures: number): void {
    if (this.#draining || this.#links[role].has(thread)) return
    this.#open(role, thread).then(
      (met) => {
        if (!met) this.#again(role, thread, failures + 1)
      },
      () => this.#again(role, thread, failures + 1)
    )
  }

  #again(role: Role, thread: number, failures: number): void {
    if (this.#draining) return
    const { ticker } = this.#options
    const most = Math.min(longestPause, firstPause * 2 ** Math.min(failures - 1, 16))
    const pause = ticker.after(most * (0.5 + ticker.random() / 2), () => {
      this.#pauses.delete(pause)
      this.#dial(role, thread, failures)
    })
    this.#pauses.add(pause)
  }

  /** True: this thread has its link. */
  async #open(role: Role, thread: number): Promise<boolean> {
    const { welcome } = this.#options
    const place = placeOf(welcome, thread)
    const tries = "path" in welcome.links ? 1 : triesPerThread * welcome.threads
    for (let i = 0; i < tries && !this.#links[role].has(thread); i++) {
      const hello = {
        ...{ skein: "program", versions: programVersions },
        ...{ role, pass: welcome.pass, thread }
      }
      const connection = await dialNode(place, hello, this.#abort.signal)
      const { socket } = connection
      const answer = readLinkAnswer(connection.line)
      if (answer === undefined || "code" in answer) {
        socket.destroy()
        if (answer?.code === "unknown_program") this.#onUnknown()
        return false
      }
      this.#unknown = 0
      if (this.#draining || this.#links[role].has(answer.thread)) socket.destroy()
      else this.#up(role, answer, connection)
    }
    return this.#links[role].has(thread)
  }

  #onUnknown(): void {
    this.#unknown++
    if (this.#unknown === unknownTries * this.#options.welcome.threads) this.#options.onUnknown()
  }

  #up(role: Role, { thread, version }: LinkAnswer, connection: NodeConnection): void {
    const { onDefect, onUp, serve, ticker, welcome } = this.#options
    const links = this.#links[role]
    const channel = channelOf(connection, ticker)
    const onDown = (cause: Error | undefined): void => {
      links.delete(thread)
      if (!this.#draining) {
        this.#broken = true
        this.#options.onBroken(cause?.message ?? "the node closed them")
      }
      this.#dial(role, thread, 0)
    }
    const common = {
      ...{ channel, ticker, heads: http1Heads, node: welcome.node, remote: welcome.peer },
      ...{ onDefect, nameOf: () => welcome.node }
    }
    if (role === "calls") {
      const link = new DialedLink({ ...common, pastCircuits: version >= pastVersion })
      link.events = { onDraining: () => undefined, onDown }
      links.set(thread, {
        calls: {
          get available() {
            return link.available
          },
          open: naming(link, version, onDefect)
        },
        drain: (reason) => link.drain(reason),
        abort: (error) => link.abort(error)
      })
      onUp()
      this.#look()
      return
    }
    const link = new AcceptedLink({ ...common, serve, onDown, speakers: "all" })
    links.set(thread, {
      calls: undefined,
      drain: (reason) => link.drain(reason),
      abort: (error) => link.abort(error)
    })
    this.#look()
    if (!this.#isServing) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const then of waiting) then()
  }

  #look(): void {
    const { onWhole, welcome } = this.#options
    const isCalling = this.#links.calls.size === welcome.threads
    if (!this.#broken || !isCalling || (this.#serving && !this.#isServing)) return
    this.#broken = false
    onWhole()
  }
}

/** On this link an opening has an endpoint only where the caller names the one that may be called. */
const naming =
  (link: DialedLink, version: number, onDefect: OnDefect): Dispatch =>
  (call, receiver) => {
    const { only, service } = call
    if (only === undefined) return link.open(call, receiver)
    if (version >= namingVersion) {
      return link.open({ ...call, endpoint: only, only: undefined }, receiver)
    }
    const message = `the node ${link.node} is too old to be told which endpoint is to be called: upgrade it`
    const code = "no_healthy_endpoint"
    return refuse(receiver, { code, message, node: link.node, service, sent: false }, onDefect)
  }

const channelOf = ({ reads, rest, socket }: NodeConnection, ticker: Ticker): PlainChannel =>
  new PlainChannel({ ...{ socket, reads, first: rest, ticker }, onClosed: () => undefined })

const placeOf = ({ links }: Welcome, thread: number): NodePlace =>
  "path" in links ? { host: `unix:${programPath(links.path, thread)}`, port: 0 } : links
