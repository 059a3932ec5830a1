/**
 * Makes a link to a peer from its newest session. What the peer refuses it with decides what comes
 * next: a session it has not heard of may be known a moment later, one that has ended is asked for
 * anew, a thread that has more links than others sends us on, a node that is busy says for how long.
 */
import type { PeerKey } from "../../model/Names.ts"
import type { Session } from "../../model/Session.ts"
import type { Ticker } from "../../model/Time.ts"
import { DiallerPreface } from "../wire/LinkPreface.ts"
import type { LinkedSocket } from "./AddressAttempt.ts"
import { AddressRace, type RaceOutcome, type RaceRefusal } from "./AddressRace.ts"
import { noAddress, noSession, refusedBy, unreachable } from "./LinkDialError.ts"
import { moreHopeful, RefusalSteps } from "./RefusalSteps.ts"
import type { SealedChannel } from "./SealedChannel.ts"
import type { Sessions } from "./Sessions.ts"
import { parseTcpAddress, type TcpAddress } from "./TcpAddress.ts"

export interface DialLimits {
  /** Between the start of one address and the next, ms. Default 250 (RFC 8305, §8). */
  readonly stagger: number
  /** For connection and answer of one address, ms. Default 4,000. */
  readonly patience: number
  /** Addresses of a peer that are tried, the first of them. Default 8. */
  readonly addresses: number
}

export const defaultDialLimits: DialLimits = { stagger: 250, patience: 4_000, addresses: 8 }

export interface DiallerOptions {
  readonly self: PeerKey
  readonly sessions: Sessions
  readonly ticker: Ticker
  readonly limits: DialLimits
  /** The mesh thread's: a session other than the one that was refused; undefined: there was none. */
  readonly needSession: (
    peer: PeerKey,
    refused: Session | undefined,
    signal: AbortSignal
  ) => Promise<Session>
  /** Index of the peer's thread that we would like; undefined: any. */
  readonly wish: (peer: PeerKey) => number | undefined
  /** Makes the channel one of this thread's links. Undefined: its session has ended meanwhile. */
  readonly adopt: (linked: LinkedSocket, session: Session) => SealedChannel | undefined
}

export class SessionDialler {
  readonly #options: DiallerOptions

  constructor(options: DiallerOptions) {
    this.#options = options
  }

  /** Rejects with a LinkDialError, or with the signal's reason. */
  async dial(
    peer: PeerKey,
    addresses: ReadonlyArray<string>,
    signal: AbortSignal
  ): Promise<SealedChannel> {
    const { sessions, ticker, limits } = this.#options
    const targets = addresses.flatMap((text) => parseTcpAddress(text) ?? [])
    if (targets.length === 0) throw noAddress(peer, addresses)
    let order = targets.slice(0, limits.addresses)
    const steps = new RefusalSteps()
    let session = sessions.newest(peer) ?? (await this.#ask(peer, undefined, signal))
    for (;;) {
      signal.throwIfAborted()
      const { channel, failures, refusal } = await this.#try(session, order, steps.tries, signal)
      if (channel !== undefined) return channel
      if (refusal === undefined) throw unreachable(session.peerName, failures)
      const step = steps.after(refusal.code, refusal.wait)
      if (step === undefined) throw refusedBy(session.peerName, refusal.code, failures)
      // Those who were sent away together do not come back together.
      if (step !== "renew") await pause(ticker, step * (1 + ticker.random() / 2), signal)
      // By now there may be another.
      const newest = sessions.newest(peer)
      const mayUse = newest !== undefined && (step !== "renew" || newest !== session)
      session = mayUse ? newest : await this.#ask(peer, session, signal)
      // Who has answered comes first.
      order = [refusal.address, ...order.filter((it) => it !== refusal.address)]
    }
  }

  async #try(
    session: Session,
    addresses: ReadonlyArray<TcpAddress>,
    tries: number,
    signal: AbortSignal
  ) {
    const result = await this.#race(session, addresses, tries, signal)
    if (result.kind === "linked") {
      // It may have been ended while we shook hands.
      const ended: RaceRefusal = { code: "session_ended", wait: 0, address: result.address }
      return { channel: result.channel, failures: [], refusal: ended }
    }
    const { failures, refusals } = result
    return { channel: undefined, failures, refusal: [...refusals].sort(moreHopeful)[0] }
  }

  #race(
    session: Session,
    addresses: ReadonlyArray<TcpAddress>,
    tries: number,
    signal: AbortSignal
  ) {
    const { self, ticker, limits, wish, adopt } = this.#options
    const { id, secret, peer } = session
    const preface = (version: number): DiallerPreface => {
      const thread = wish(peer)
      const parties = { dialler: self, acceptor: peer }
      return new DiallerPreface({ session: id, secret, ...parties, thread, tries, version })
    }
    type Failed = Extract<RaceOutcome, { readonly kind: "failed" }>
    type Linked = {
      readonly kind: "linked"
      readonly address: TcpAddress
      readonly channel: SealedChannel | undefined
    }
    return unlessAborted<Failed | Linked>(signal, (done) => {
      const race = new AddressRace({
        ...limits,
        addresses,
        preface,
        ticker,
        onOutcome: (outcome) => {
          if (outcome.kind === "failed") done(outcome)
          // In the same turn: what came behind the answer is good until then.
          else done({ ...outcome, channel: adopt(outcome, session) })
        }
      })
      return () => race.abort()
    })
  }

  /** A session from the mesh thread, which tells all threads of it. */
  async #ask(peer: PeerKey, refused: Session | undefined, signal: AbortSignal): Promise<Session> {
    const { needSession, sessions } = this.#options
    let session: Session
    try {
      session = await unlessAborted<Session>(signal, (done, failed) => {
        needSession(peer, refused, signal).then(done, failed)
        return () => undefined
      })
    } catch (cause) {
      if (signal.aborted) throw signal.reason
      throw noSession(peer, cause)
    }
    if (session.peer !== peer) throw noSession(peer, `we were given one with ${session.peer}`)
    if (sessions.put(session)) return session
    throw noSession(peer, "the one that we were given has ended, or there are too many peers")
  }
}

const pause = async (ticker: Ticker, ms: number, signal: AbortSignal): Promise<void> => {
  if (ms === 0) return
  await unlessAborted<void>(signal, (done) => {
    const timer = ticker.after(ms, () => done())
    return () => timer.cancel()
  })
}

/** What `begin` ends with, unless the signal says before that nobody waits any more. */
const unlessAborted = <A>(
  signal: AbortSignal,
  begin: (done: (value: A) => void, failed: (error: unknown) => void) => () => void
): Promise<A> =>
  new Promise<A>((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = (): void => {
      stop()
      reject(signal.reason)
    }
    const settled = (): void => signal.removeEventListener("abort", onAbort)
    signal.addEventListener("abort", onAbort, { once: true })
    const stop = begin(
      (value) => {
        settled()
        resolve(value)
      },
      (error) => {
        settled()
        reject(error)
      }
    )
  })
