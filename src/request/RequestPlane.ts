/**
 * All that carries calls, put together: one of these runs in each request thread, or in the one
 * thread there is. It knows what it was told last (PlaneMessages.ts) and waits for nobody.
 *
 *     listeners ─► outbound (plans, policies, balancers) ─► links ══► other nodes
 *                        └──────────► inbound ◄──────────── links ◄══
 *                                        └─► programs of this host
 */
import { contain, type OnDefect } from "../model/Defect.ts"
import type { Dispatch } from "../model/Exchange.ts"
import type { Log } from "../model/Log.ts"
import {
  type MeshViewCell,
  MeshViewReplica,
  type ViewChange,
  ViewOutOfStep
} from "../model/MeshView.ts"
import type { ServiceName } from "../model/Names.ts"
import type { Policy } from "../model/Policy.ts"
import type { Ticker } from "../model/Time.ts"
import { LoopDelay } from "./cells/LoopDelay.ts"
import { PlaneTelemetry } from "./cells/PlaneTelemetry.ts"
import { AccessGuard } from "./inbound/AccessGuard.ts"
import { Denials } from "./inbound/Denials.ts"
import { HostLimits } from "./inbound/HostLimits.ts"
import { type Inbound, makeInbound } from "./inbound/Inbound.ts"
import { OwnLimits } from "./inbound/Places.ts"
import { Programs } from "./inbound/Programs.ts"
import { LinkDemand } from "./LinkDemand.ts"
import { observeLinks } from "./LinkMetrics.ts"
import { LinkPool } from "./link/LinkPool.ts"
import { SessionTransport } from "./link/SessionTransport.ts"
import { takesLink, threadWish } from "./link/ThreadWish.ts"
import { ForeignRelay } from "./listener/ForeignRelay.ts"
import type { EndpointFact } from "./outbound/EndpointStep.ts"
import { makeOutbound, type Outbound } from "./outbound/Outbound.ts"
import { answer } from "./PlaneAnswers.ts"
import { PlaneListeners } from "./PlaneListeners.ts"
import type { FromPlane, PlaneFact, PlaneSetup, ToPlane } from "./PlaneMessages.ts"
import { PlanePeers } from "./PlanePeers.ts"
import { HostRuns } from "./policy/HostRuns.ts"
import { policyShare } from "./policy/PolicyShare.ts"
import { SocketBudget } from "./socket/SocketBudget.ts"
import { SilenceError } from "./wire/LinkSession.ts"

export interface PlaneEnvironment {
  readonly ticker: Ticker
  readonly post: (message: FromPlane) => void
  /** It has ended, and takes no more messages. */
  readonly onStopped: () => void
}

export class RequestPlane {
  /** Where what throws in this thread is told. */
  readonly onDefect: OnDefect
  readonly #environment: PlaneEnvironment
  readonly #telemetry: PlaneTelemetry
  readonly #delay: LoopDelay
  readonly #setup: PlaneSetup
  readonly #sockets = new SocketBudget()
  readonly #view = new MeshViewReplica()
  readonly #peers: PlanePeers
  readonly #transport: SessionTransport
  readonly #pool: LinkPool
  readonly #demand: LinkDemand
  readonly #access: AccessGuard
  readonly #denials: Denials
  /** Undefined: there is no thread to share anything with. */
  readonly #limits: HostLimits | undefined
  /** Programs in this thread or attached to it, which serve without a port. */
  readonly programs = new Programs()
  readonly #inbound: Inbound
  readonly #outbound: Outbound
  readonly #relay: ForeignRelay
  readonly #listeners: PlaneListeners
  /** Why services are missing in the view, where that is known. */
  readonly #missing = new Map<ServiceName, string>()
  /** By what this node is out of the mesh. */
  #out: string | undefined
  #stopped = false

  constructor(setup: PlaneSetup, environment: PlaneEnvironment) {
    const { post, ticker } = environment
    const { index, self, threads } = setup
    this.#environment = environment
    this.#setup = setup
    const log: Log = (level, message, fields) => post({ type: "log", level, message, fields })
    this.#telemetry = new PlaneTelemetry({
      ...{ node: self.node, ticker, traces: setup.traces, accessLog: setup.accessLog, log },
      // Until it is told otherwise.
      sample: 0,
      post: (report) => post({ type: "telemetry", report })
    })
    const { observer, onDefect, registry } = this.#telemetry
    this.onDefect = onDefect
    this.#delay = new LoopDelay(registry, String(index), ticker)
    const peers = new PlanePeers({
      self,
      wall: () => ticker.wall(),
      ask: (peer) => post({ type: "session.need", peer }),
      onMet: (peer) => this.#pool.met(peer),
      onMoved: (peer) => this.#pool.moved(peer)
    })
    this.#peers = peers
    const { hostOf, nameOf, rights, sessions } = peers
    this.#access = new AccessGuard({ node: self.node, metrics: registry, hostOf })
    this.#denials = new Denials({
      ...{ ticker, hostOf },
      post: (denials) => post({ type: "denied", denials })
    })
    const memory = threads > 1 ? setup.memory : undefined
    this.#limits =
      memory && new HostLimits({ ...memory, ...{ thread: index, threads, ticker, onDefect } })
    this.#inbound = makeInbound({
      self,
      ticker,
      metrics: registry,
      observer,
      callerName: nameOf,
      speaksFor: rights.refusal,
      access: this.#access,
      onDenied: (call, rule, message) => this.#denials.note(call, rule, message),
      limits: this.#limits ?? new OwnLimits(threads),
      onDefect,
      sockets: this.#sockets.programs,
      programs: this.programs
    })
    this.#transport = new SessionTransport({
      self: self.peer,
      sessions,
      ticker,
      thread: index,
      threads,
      wish: () => threadWish(self.peer, index),
      mayAccept: (_tries, wish) => takesLink(setup, wish),
      needSession: (peer, _, signal) => peers.needs.need(peer, signal),
      onDefect
    })
    this.#pool = new LinkPool({
      transport: this.#transport,
      ticker,
      node: self.node,
      serve: this.#inbound.dispatch,
      nameOf,
      hostOf: (peer) => sessions.hostOf(peer),
      addressesOf: peers.addressesOf,
      onWait: (service) => this.#demand.warm(service),
      onDefect
    })
    this.#demand = new LinkDemand({
      ...{ view: this.#view, pool: this.#pool, ticker },
      onUsed: (used) => post({ type: "sessions.used", peers: used })
    })
    this.#outbound = makeOutbound({
      self: selfOf(self),
      view: this.#view,
      policies: new Map(),
      defaultPolicy: policyShare(setup.defaultPolicy, setup),
      ticker,
      metrics: registry,
      observer,
      local: this.#inbound.dispatch,
      remote: (peer) => this.#pool.dispatchTo(peer),
      isDown: (peer) => this.#pool.isDown(peer),
      whyMissing: (service) => this.#out ?? this.#missing.get(service),
      speaksFor: rights.refusal,
      onDefect,
      ...(memory === undefined ? {} : { runs: new HostRuns(memory.runs) }),
      onFact: (service, endpoint, fact) => {
        if (threads === 1) return
        const told = atWall(fact, ticker.wall() - ticker.now())
        post({ type: "fact", fact: { ...told, service, endpoint } })
      }
    })
    this.#pool.onUp((peer) => this.#outbound.peerUp(peer))
    this.#pool.onDown((peer, cause) => {
      this.#outbound.peerDown(peer)
      if (cause instanceof SilenceError) post({ type: "fact", fact: { kind: "silent", peer } })
    })
    this.programs.onReach = (program, reached) => post({ type: "program.reach", program, reached })
    this.#relay = new ForeignRelay(post, () => ticker.now(), onDefect)
    this.#listeners = new PlaneListeners({
      ...{ setup, ticker, log, onDefect, post },
      metrics: registry,
      programs: this.programs,
      dispatch: this.#outbound.dispatch,
      protocolOf: (service) => this.#view.current.services.get(service)?.protocol,
      sockets: this.#sockets.clients,
      transport: this.#transport,
      relay: this.#relay
    })
    observeLinks(
      registry,
      () => this.#transport.counts,
      () => this.#listeners.meshPorts()
    )
    this.#pool.listen().catch((error: unknown) => onDefect(error, "the links' port"))
    post({ type: "ready" })
  }

  /** For calls of programs in this thread. */
  get dispatch(): Dispatch {
    return this.#outbound.dispatch
  }

  /** What is known of the mesh, and how it changes: for programs in this thread. */
  get view(): MeshViewCell {
    return this.#view
  }

  /** What throws as one message is taken in is told, and the next is taken in all the same. */
  receive(message: ToPlane): void {
    if (this.#stopped) return
    try {
      this.#take(message)
    } catch (error) {
      this.onDefect(error, `what a request thread is told (${message.type})`)
    }
  }

  #take(message: ToPlane): void {
    switch (message.type) {
      case "view":
        this.#follow(message.change)
        return
      case "policies":
        this.#outbound.setPolicies(this.#shares(message.policies))
        return
      case "rights":
      case "peer":
      case "peer.gone":
      case "session":
      case "session.end":
      case "session.none":
        this.#peers.receive(message)
        return
      case "access":
        this.#access.set(message.settings)
        this.#inbound.recheckAccess()
        return
      case "services":
        this.#inbound.setServices(message.services)
        return
      case "health":
        this.#inbound.setHealth(message.service, message.endpoint, message.healthy, message.reason)
        return
      case "fact":
        this.#learn(message.fact)
        return
      case "programs":
        this.programs.setAttached(message.programs)
        if (message.sayReached) this.programs.sayReached()
        return
      case "missing":
        if (message.reason === undefined) this.#missing.delete(message.service)
        else this.#missing.set(message.service, message.reason)
        return
      case "out":
        this.#out = message.reason
        return
      case "sample":
        this.#telemetry.observer.setSample(message.share)
        return
      case "sockets":
        this.#sockets.clients.used = message.clients
        this.#sockets.programs.used = message.programs
        this.#sockets.resize(message.total, message.spare)
        return
      case "listen":
      case "listen.stop":
      case "listen.drain":
      case "listen.close":
        this.#listeners.receive(message)
        return
      case "drain":
        this.#drain(message.reason)
        return
      case "telemetry":
        this.#telemetry.obey(message.order)
        return
      case "ask":
        this.#answer(message)
        return
      case "relay.data":
      case "relay.taken":
      case "relay.end":
      case "relay.reset":
      case "relay.away":
        this.#relay.receive(message)
        return
      case "stop":
        this.stop()
    }
  }

  /** Gives all ports free, at once: the thread is about to end. What is open goes on until then. */
  refuseConnections(): void {
    this.#listeners.stop()
  }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#demand.stop()
    const parts: ReadonlyArray<() => void> = [
      () => this.#listeners.close(),
      () => this.#outbound.close(),
      () => this.#pool.stop(),
      () => this.#transport.stop(new Error("this node is shutting down")),
      () => this.#inbound.close(),
      () => this.#limits?.stop(),
      () => this.#denials.stop(),
      () => this.#relay.close(),
      () => this.#delay.stop(),
      () => this.#telemetry.stop()
    ]
    for (const part of parts) contain(this.onDefect, "the end of a request thread", part)
    this.#environment.post({ type: "stopped" })
    this.#environment.onStopped()
  }

  #follow(change: ViewChange): void {
    try {
      this.#view.apply(change)
    } catch (error) {
      if (!(error instanceof ViewOutOfStep)) throw error
      this.#environment.post({ type: "view.need" })
    }
  }

  /** What another thread of this node has found out. */
  #learn(fact: PlaneFact): void {
    const { ticker } = this.#environment
    if (fact.kind === "silent") this.#pool.doubt(fact.peer)
    else {
      const { endpoint, service, ...told } = fact
      this.#outbound.learn(service, endpoint, atWall(told, ticker.now() - ticker.wall()))
    }
  }

  /** What a policy allows the host once, this thread has a part of. */
  #shares(policies: ReadonlyMap<ServiceName, Policy>): ReadonlyMap<ServiceName, Policy> {
    return new Map(
      Array.from(policies, ([service, policy]) => [service, policyShare(policy, this.#setup)])
    )
  }

  /** Others are told to open nothing more here; what runs goes on. */
  #drain(reason: string): void {
    this.#pool.goaway(reason)
    this.#inbound.drain()
    this.#inbound.whenIdle(() =>
      // The last answers are given, but have not left yet.
      this.#pool.whenServed(() => this.#environment.post({ type: "served" }))
    )
  }

  #answer({ id, question }: Extract<ToPlane, { readonly type: "ask" }>): void {
    const rows = answer(question, {
      index: this.#setup.index,
      access: this.#access,
      delay: this.#delay,
      inbound: this.#inbound,
      outbound: this.#outbound,
      pool: this.#pool,
      transport: this.#transport,
      sockets: this.#sockets
    })
    this.#environment.post({ type: "answer", id, rows })
  }
}

/** Threads have clocks of their own, which began when they did: between them times are wall clock. */
const atWall = (fact: EndpointFact, offset: number): EndpointFact => {
  if (fact.kind === "ejection") {
    const { news } = fact
    return news.state === "well" ? fact : { ...fact, news: { ...news, until: news.until + offset } }
  }
  const { news } = fact
  return news.state === "closed" ? fact : { ...fact, news: { ...news, until: news.until + offset } }
}

const selfOf = ({ node, peer, zone }: PlaneSetup["self"]) => ({
  node,
  peer,
  ...(zone === undefined ? {} : { zone })
})
