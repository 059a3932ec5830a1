/**
 * A program, as the mesh thread of its node sees it: the plane in its thread, its log, its hold on
 * the data directory, and the calls it makes.
 */
import type { MessagePort } from "node:worker_threads"
import { Effect, FiberMap, type Scope } from "effect"
import { adoptLock } from "../mesh/keys/DataDirLock.ts"
import type { FromPlane } from "../request/PlaneMessages.ts"
import type { ActorQuestion, ActorReports } from "../schema/ActorReportSchema.ts"
import { MeshLog } from "./MeshLog.ts"
import { answerCall, type NodeCallName, nodeCalls } from "./NodeCalls.ts"
import type { FromMesh, MeshStart, ToldFailure, ToMesh } from "./NodeMessages.ts"
import { samePort } from "./PlanePorts.ts"
import type { PlaneThreadEvents } from "./PlaneThread.ts"
import type { AssembledNode, ProgramSide } from "./RunningNode.ts"
import { StartError } from "./StartError.ts"

type Call = Extract<ToMesh, { readonly type: "call" }>
type Answers = Readonly<Record<NodeCallName, (payload: unknown) => Effect.Effect<unknown>>>

export class ProgramPort {
  readonly #port: MessagePort
  readonly #start: MeshStart
  readonly log: MeshLog
  #plane: PlaneThreadEvents | undefined
  #onLocked: (failure: ToldFailure | undefined) => void = () => undefined
  /** Undefined: the node is starting. */
  #calls: { readonly run: (call: Call) => void; readonly cancel: (id: number) => void } | undefined
  readonly #asked = new Map<number, (reports: ActorReports) => void>()
  #lastAsked = 0
  /** The plane in the program's thread. It is there as long as the program is. */
  readonly side: ProgramSide
  /** The node is to end. */
  onStop: () => void = () => undefined

  constructor(port: MessagePort, start: MeshStart) {
    this.#port = port
    this.#start = start
    this.log = new MeshLog((message) => this.post(message))
    this.side = {
      spawn: (setup, events) => {
        this.#plane = events
        this.post({ type: "plane.begin", setup })
        return {
          post: (message) => this.post({ type: "plane", message }),
          terminate: async () => undefined,
          plane: undefined
        }
      },
      holds: (spec) => start.held.some((one) => samePort(one, spec)),
      memory: start.memory
    }
    port.on("message", (message: ToMesh) => this.#receive(message))
  }

  post(message: FromMesh): void {
    this.#port.postMessage(message)
  }

  /** The data directory is the program's, over all lives of this thread. */
  readonly lock: Effect.Effect<void, StartError, Scope.Scope> = Effect.suspend(() =>
    Effect.async<void, StartError>((resume) => {
      this.#onLocked = (failure) =>
        resume(failure === undefined ? Effect.void : new StartError(failure))
      this.post({ type: "lock" })
    }).pipe(Effect.zipRight(adoptLock(this.#start.config.node.dataDir)))
  )

  /** How the program's actors fare. Returns how to wait no longer. */
  readonly askActors = (
    question: ActorQuestion,
    then: (reports: ActorReports) => void
  ): (() => void) => {
    const id = ++this.#lastAsked
    this.#asked.set(id, then)
    this.post({ type: "actors", id, question })
    return () => void this.#asked.delete(id)
  }

  /** Answers what the program asks, until the scope closes. */
  serve(node: AssembledNode): Effect.Effect<void, never, Scope.Scope> {
    const answers = answersOf(node)
    return Effect.gen(this, function* () {
      const calls = yield* FiberMap.make<number>()
      const runFork = yield* FiberMap.runtime(calls)<never>()
      this.#calls = {
        run: ({ id, name, payload }) => {
          const answered = Effect.map(answers[name](payload), (exit) =>
            this.post({ type: "answer", id, exit })
          )
          runFork(id, answered)
        },
        cancel: (id) => void Effect.runFork(FiberMap.remove(calls, id))
      }
    })
  }

  #receive(message: ToMesh): void {
    switch (message.type) {
      case "plane":
        this.#fromPlane(message.message)
        return
      case "locked":
        this.#onLocked(message.failure)
        return
      case "call":
        this.#calls?.run(message)
        return
      case "cancel":
        this.#calls?.cancel(message.id)
        return
      case "actors": {
        const then = this.#asked.get(message.id)
        this.#asked.delete(message.id)
        then?.(message.reports)
        return
      }
      case "logged":
        this.log.taken(message.count)
        return
      case "stop":
        this.onStop()
    }
  }

  #fromPlane(message: FromPlane): void {
    this.#plane?.onMessage(message)
  }
}

const answersOf = (node: AssembledNode): Answers => {
  const { source } = node
  return {
    status: answerCall(nodeCalls.status, () => source.status),
    members: answerCall(nodeCalls.members, () => source.members),
    peers: answerCall(nodeCalls.peers, (choice) => source.peers(choice)),
    services: answerCall(nodeCalls.services, () => source.services),
    endpoints: answerCall(nodeCalls.endpoints, (service) => source.endpoints(service)),
    actors: answerCall(nodeCalls.actors, (choice) => source.actors(choice)),
    links: answerCall(nodeCalls.links, () => source.links),
    checkAccess: answerCall(nodeCalls.checkAccess, (question) => source.access.check(question)),
    lintAccess: answerCall(nodeCalls.lintAccess, () => source.access.lint),
    suggestAccess: answerCall(nodeCalls.suggestAccess, ({ service }) =>
      source.access.suggest(service)
    ),
    metrics: answerCall(nodeCalls.metrics, () => source.metrics),
    beginDrain: answerCall(nodeCalls.beginDrain, () => source.drain),
    sayGoodbye: answerCall(nodeCalls.sayGoodbye, () => source.leave),
    reload: answerCall(nodeCalls.reload, () => source.reload),
    invite: answerCall(nodeCalls.invite, (request) => source.invite(request)),
    policy: answerCall(nodeCalls.policy, (service) => source.policy(service)),
    settings: answerCall(nodeCalls.settings, (choice) => source.settings(choice)),
    settingHistory: answerCall(nodeCalls.settingHistory, (setting) =>
      source.settingHistory(setting)
    ),
    changeSettings: answerCall(nodeCalls.changeSettings, (change) => source.changeSettings(change)),
    checkSettings: answerCall(nodeCalls.checkSettings, (trial) => source.checkSettings(trial)),
    forget: answerCall(nodeCalls.forget, (request) => source.forget(request)),
    revoke: answerCall(nodeCalls.revoke, (request) => source.revoke(request)),
    revoked: answerCall(nodeCalls.revoked, () => source.revoked),
    mayServe: answerCall(nodeCalls.mayServe, (service) => node.mayServe(service)),
    serve: answerCall(nodeCalls.serve, (offers) => node.serve(offers)),
    roots: answerCall(nodeCalls.roots, () => source.roots),
    rotateRoot: answerCall(nodeCalls.rotateRoot, (request) => source.rotateRoot(request)),
    finishRoot: answerCall(nodeCalls.finishRoot, (request) => source.finishRoot(request)),
    ready: answerCall(nodeCalls.ready, () => node.ready),
    drain: answerCall(nodeCalls.drain, () => node.drain),
    leave: answerCall(nodeCalls.leave, () => node.leave),
    stopped: answerCall(nodeCalls.stopped, () => node.stopped)
  }
}
