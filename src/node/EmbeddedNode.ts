/**
 * A node inside a program: its request plane runs in the program's thread, where its calls and
 * handlers are; all that knows the mesh runs in a thread of its own, so that neither delays the other
 * and a crash there is not the program's.
 */
import { Clock, Deferred, Effect, type Exit, FiberRef, Runtime, Schema, Scope } from "effect"
import { ActorReporters } from "../api/ActorReporters.ts"
import type { MeshCaller } from "../api/MeshCaller.ts"
import { directoryOf } from "../api/MeshDirectory.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { lockDataDir } from "../mesh/keys/DataDirLock.ts"
import type { MeshViewCell } from "../model/MeshView.ts"
import { reasonOf } from "../model/Reason.ts"
import type { Programs } from "../request/inbound/Programs.ts"
import type { ProgramOffer } from "../schema/ProgramOfferSchema.ts"
import { MeshThread } from "./MeshThread.ts"
import { type NodeCall, type NodeCallName, nodeCalls } from "./NodeCalls.ts"
import type { MeshStart, NodeFacts, ToldFailure } from "./NodeMessages.ts"
import { makePlaneLog } from "./PlaneLog.ts"
import { ProgramOffers } from "./ProgramOffers.ts"
import { ProgramPlane } from "./ProgramPlane.ts"
import type { NodeInput, ProgramNode } from "./RunningNode.ts"
import { runtimeAdvice, runtimeOf } from "./Runtime.ts"
import { StartError } from "./StartError.ts"
import { presentMeshFile } from "./ThreadFile.ts"
import { makeToldLog } from "./ToldLog.ts"
import { untilOffered } from "./UntilOffered.ts"

export interface EmbeddedInput extends NodeInput {
  readonly beside?: MeshStart["beside"]
}

/** A good-bye waits so long for a mesh thread that is being started again, ms. */
const goodbyePatience = 10_000
/** So does what the program serves; the next life is told in any case. */
const servePatience = 10_000

/** Of the mesh thread: its code, and its heap in MB. Default: what the package has, and 1,024. */
export interface EmbeddedThread {
  readonly file?: URL
  readonly heap?: number
}

/** Starts a node; it stops when the scope closes. Draining first is the caller's choice. */
export const runEmbedded = (
  input: EmbeddedInput,
  thread: EmbeddedThread = {}
): Effect.Effect<ProgramNode, StartError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* requireRuntime
    const file = thread.file ?? (yield* findFile)
    const log = yield* makePlaneLog
    const toldLog = yield* makeToldLog
    const started = yield* Deferred.make<NodeFacts, StartError>()
    const runtime = yield* Effect.runtime<never>()
    const lock = yield* makeLock(input.config)
    const minimum = yield* FiberRef.get(FiberRef.currentMinimumLogLevel)
    const plane = yield* Effect.acquireRelease(
      Effect.sync(() => new ProgramPlane({ log })),
      (it) => Effect.sync(() => it.stop())
    )
    let facts: NodeFacts | undefined
    const actors = new ActorReporters()
    const { beside, config, configPath, descriptors, join, overrides } = input
    const mesh = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new MeshThread({
            ...{ file, heap: thread.heap },
            start: {
              ...{ beside, config, configPath, descriptors, join, overrides },
              logFrom: minimum.ordinal
            },
            plane,
            actors: (question) => {
              try {
                return actors.answer(question)
              } catch (error) {
                log("error", `what the program says of its actors broke: ${reasonOf(error)}`)
                return undefined
              }
            },
            onLog: toldLog,
            lock: () => Runtime.runPromise(runtime)(lock),
            onStarted: (told) => {
              facts = told
              Deferred.unsafeDone(started, Effect.succeed(told))
            },
            onFailed: (failure) =>
              Deferred.unsafeDone(started, Effect.fail(new StartError(failure))),
            onCrash: (reason, pause) =>
              log(
                "error",
                `the mesh thread of ${facts?.name ?? "this node"} has ended; calls go on by what was known last, and it is started again in ${pause} ms: ${reason}`
              )
          })
      ),
      (it) => Effect.promise(() => it.stop())
    )
    const first = yield* Deferred.await(started)
    const running = plane.plane
    if (running === undefined) throw new Error("a mesh thread starts with a plane")
    const { dispatch, programs, view } = running
    return programNode(
      mesh,
      {
        ...{ dispatch, programs, view, actors, zone: config.node.zone },
        keepServed: (offers) => {
          plane.served = offers
        }
      },
      () => facts ?? first
    )
  })

const findFile: Effect.Effect<URL, StartError> = Effect.try({
  try: () => presentMeshFile(),
  catch: (cause) => {
    if (cause instanceof StartError) return cause
    throw cause
  }
})

const requireRuntime = Effect.suspend(() => {
  const runtime = runtimeOf(process.versions)
  if (runtime.able) return Effect.void
  const message = `this is ${runtime.name}. ${runtimeAdvice}`
  return new StartError({ code: "runtime_too_old", message, cause: undefined })
})

/**
 * The data directory is the program's until the scope closes, whatever lives its mesh thread has: a
 * second node of the program on it is refused, and a life that begins anew gets it.
 */
const makeLock = (
  config: NodeConfig
): Effect.Effect<Effect.Effect<ToldFailure | undefined>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    let held = false
    return Effect.gen(function* () {
      if (held) return undefined
      yield* lockDataDir(config.node.dataDir, yield* Clock.currentTimeMillis)
      held = true
      return undefined
    }).pipe(
      Effect.provideService(Scope.Scope, scope),
      Effect.catchAll(({ code, message }) => Effect.succeed({ code, message, cause: undefined }))
    )
  })

type Plane = Pick<MeshCaller["Type"], "dispatch"> & {
  readonly zone: string | undefined
  readonly view: MeshViewCell
  readonly programs: Programs
  readonly actors: ActorReporters
  /** Lives of the mesh thread to come are told. */
  readonly keepServed: (offers: ReadonlyArray<ProgramOffer>) => void
}

const programNode = (mesh: MeshThread, plane: Plane, facts: () => NodeFacts): ProgramNode => {
  /** Undefined: there is no mesh thread any more, or none that answers in time. */
  const exitOf = <Ask, AskText, A, AI, E, EI>(
    name: NodeCallName,
    call: NodeCall<Ask, AskText, A, AI, E, EI>,
    ask: Ask,
    patience?: number
  ): Effect.Effect<Exit.Exit<A, E> | undefined> =>
    Effect.flatMap(Effect.orDie(Schema.encode(call.ask)(ask)), (payload) =>
      Effect.async<unknown>((resume) => {
        const cancel = mesh.ask(name, payload, (exit) => resume(Effect.succeed(exit)), patience)
        return Effect.sync(cancel)
      })
    ).pipe(
      Effect.flatMap((exit) =>
        exit === undefined
          ? Effect.succeed(undefined)
          : Effect.orDie(Schema.decodeUnknown(call.exit)(exit))
      )
    )

  const ask = <Ask, AskText, A, AI, E, EI>(
    name: NodeCallName,
    call: NodeCall<Ask, AskText, A, AI, E, EI>,
    question: Ask
  ): Effect.Effect<A, E> =>
    Effect.flatMap(exitOf(name, call, question), (exit) =>
      exit === undefined
        ? Effect.dieMessage(
            `the node ${facts().name} has stopped, and ${name} cannot be asked of it`
          )
        : exit
    )

  /** Done as well when there is nothing to be waited for any more. */
  const wait = (name: "ready" | "drain" | "leave" | "stopped", patience?: number) =>
    Effect.flatMap(
      exitOf(name, nodeCalls[name], undefined, patience),
      (exit) => exit ?? Effect.void
    )

  const reload = ask("reload", nodeCalls.reload, undefined)
  const offers = new ProgramOffers({
    node: () => facts().name,
    ...{ programs: plane.programs, actors: plane.actors },
    threads: () => facts().threads,
    mayServe: (service) => ask("mayServe", nodeCalls.mayServe, service),
    tell: (all) =>
      Effect.suspend(() => {
        plane.keepServed(all)
        return exitOf("serve", nodeCalls.serve, all, servePatience)
      }),
    deadline: () => facts().drainDeadline
  })
  return {
    get name() {
      return facts().name
    },
    get peer() {
      return facts().peer
    },
    get mesh() {
      return facts().mesh
    },
    get listening() {
      return facts().listening
    },
    get addresses() {
      return facts().addresses
    },
    get admin() {
      return facts().admin
    },
    get names() {
      return facts().names
    },
    get attach() {
      return facts().attach
    },
    get proxy() {
      return facts().proxy
    },
    get threads() {
      return facts().threads
    },
    drainDeadline: () => facts().drainDeadline,
    dispatch: plane.dispatch,
    programs: offers.api,
    directory: directoryOf(plane.view, plane.zone),
    source: {
      status: ask("status", nodeCalls.status, undefined),
      members: ask("members", nodeCalls.members, undefined),
      peers: (choice) => ask("peers", nodeCalls.peers, choice),
      services: ask("services", nodeCalls.services, undefined),
      endpoints: (service) => ask("endpoints", nodeCalls.endpoints, service),
      actors: (choice) => ask("actors", nodeCalls.actors, choice),
      links: ask("links", nodeCalls.links, undefined),
      access: {
        check: (question) => ask("checkAccess", nodeCalls.checkAccess, question),
        lint: ask("lintAccess", nodeCalls.lintAccess, undefined),
        suggest: (service) =>
          ask("suggestAccess", nodeCalls.suggestAccess, service === undefined ? {} : { service })
      },
      metrics: ask("metrics", nodeCalls.metrics, undefined),
      drain: ask("beginDrain", nodeCalls.beginDrain, undefined),
      leave: ask("sayGoodbye", nodeCalls.sayGoodbye, undefined),
      invite: (request) => ask("invite", nodeCalls.invite, request),
      policy: (service) => ask("policy", nodeCalls.policy, service),
      settings: (choice) => ask("settings", nodeCalls.settings, choice),
      settingHistory: (setting) => ask("settingHistory", nodeCalls.settingHistory, setting),
      changeSettings: (change) => ask("changeSettings", nodeCalls.changeSettings, change),
      checkSettings: (trial) => ask("checkSettings", nodeCalls.checkSettings, trial),
      forget: (request) => ask("forget", nodeCalls.forget, request),
      revoke: (request) => ask("revoke", nodeCalls.revoke, request),
      revoked: ask("revoked", nodeCalls.revoked, undefined),
      roots: ask("roots", nodeCalls.roots, undefined),
      rotateRoot: (request) => ask("rotateRoot", nodeCalls.rotateRoot, request),
      finishRoot: (request) => ask("finishRoot", nodeCalls.finishRoot, request),
      reload
    },
    ready: wait("ready"),
    awaitService: (service) => untilOffered(plane.view, service),
    // While there is no mesh thread nobody can be told, and a program that ends waits for none.
    drain: wait("drain", 0),
    leave: wait("leave", goodbyePatience),
    stopped: wait("stopped"),
    reload
  }
}
