/**
 * A whole node. Everything in it lives in one scope: what starts, stops with it, in the reverse
 * order, and a start that fails half-way leaves nothing behind.
 *
 *     identity ─► telemetry ─► inbound ─► mesh plane ─► outbound ─► listeners ─► admin
 */
import { Clock, Context, Effect, Layer, Runtime, Schedule, type Scope } from "effect"
import type { ReadinessItem } from "./admin/AdminModel.ts"
import {
  type AdminListenError,
  AdminListening,
  type AdminServerOptions,
  adminServer
} from "./admin/AdminServer.ts"
import { AdminSource } from "./admin/AdminSource.ts"
import { MeshCaller } from "./api/MeshCaller.ts"
import { formatAdminAddress } from "./config/HostPort.ts"
import type { NodeConfig, NodeConfigInput } from "./config/NodeConfig.ts"
import { Supervisor } from "./mesh/actor/Supervisor.ts"
import { makeSystemTicker } from "./mesh/actor/SystemTicker.ts"
import { makeHealthChecker } from "./mesh/health/HealthChecker.ts"
import { lockDataDir } from "./mesh/keys/DataDirLock.ts"
import { StorageTrouble } from "./mesh/keys/StorageTrouble.ts"
import type { IdentityCell } from "./mesh/trust/NodeIdentity.ts"
import { type PeerKey, ServiceName } from "./model/Names.ts"
import type { Policy } from "./model/Policy.ts"
import { loadBootstrap } from "./node/Bootstrap.ts"
import { makeControls } from "./node/Controls.ts"
import { keepDataDir } from "./node/DataDirKeeper.ts"
import { readDescriptors } from "./node/Descriptors.ts"
import { Drain } from "./node/Drain.ts"
import { embeddedInput, untilMet } from "./node/Embedded.ts"
import { makeListeners } from "./node/Listeners.ts"
import { makeMeshPlane } from "./node/MeshPlane.ts"
import { makeNodeViews } from "./node/NodeSource.ts"
import { makeOffer } from "./node/Offer.ts"
import { openIdentity, prepareDataDir } from "./node/OpenIdentity.ts"
import { PolicyWatch } from "./node/PolicyWatch.ts"
import type { NodeInput, RunningNode } from "./node/RunningNode.ts"
import { runtimeAdvice, runtimeOf } from "./node/Runtime.ts"
import { SocketRoom } from "./node/SocketRoom.ts"
import { StartError } from "./node/StartError.ts"
import { softwareVersion } from "./node/Version.ts"
import { makeInbound } from "./request/inbound/Inbound.ts"
import { makeOutbound } from "./request/outbound/Outbound.ts"
import { defaultPolicy } from "./schema/PolicySchema.ts"
import { makeTelemetry } from "./telemetry/Telemetry.ts"

/** Time for the answer to `leave` to get out before the process ends. */
const farewell = "200 millis"

/** What the host's own programs get at least to finish theirs, when all else used up the time (ms). */
const lastWords = 1_000

const readyCheckEvery = "20 millis"

const policiesOf = (config: NodeConfig): ReadonlyMap<ServiceName, Policy> =>
  new Map(Object.entries(config.policies).map(([name, policy]) => [ServiceName.make(name), policy]))

/** Where it listens. */
const openAdmin = (
  options: AdminServerOptions,
  source: AdminSource["Type"]
): Effect.Effect<string, AdminListenError, Scope.Scope> =>
  Layer.build(adminServer(options).pipe(Layer.provide(Layer.succeed(AdminSource, source)))).pipe(
    Effect.map((context) => formatAdminAddress(Context.get(context, AdminListening)))
  )

const assemble = (input: NodeInput) =>
  Effect.gen(function* () {
    const { config } = input
    const runtime = runtimeOf(process.versions)
    if (!runtime.able) {
      const message = `this is ${runtime.name}. ${runtimeAdvice}`
      return yield* new StartError({ code: "runtime_too_old", message, cause: undefined })
    }
    yield* prepareDataDir(config.node.dataDir, input.join !== undefined)
    yield* lockDataDir(config.node.dataDir, yield* Clock.currentTimeMillis)
    const identity: IdentityCell = { current: yield* openIdentity(config.node, input.join) }
    const trouble = new StorageTrouble(config.node.dataDir)
    const { name, peer, mesh, meshName } = identity.current
    const self = {
      peer,
      node: name,
      ...(config.node.zone === undefined ? {} : { zone: config.node.zone })
    }
    const version = softwareVersion
    const supervisor = yield* Supervisor
    const ticker = yield* makeSystemTicker
    const { accessLog, otlp, sample } = config.telemetry
    const telemetry = yield* makeTelemetry({
      node: name,
      mesh,
      version,
      ...(otlp === undefined ? {} : { otlp }),
      sample,
      accessLog:
        accessLog === "off" || accessLog === "stdout" || accessLog === "stderr"
          ? accessLog
          : { file: accessLog },
      ticker
    })
    const { observer, registry: metrics } = telemetry
    const room = yield* SocketRoom.make(input.descriptors ?? readDescriptors())
    room.follow(config)

    const names = { of: (_: PeerKey): string => name }
    const inbound = yield* Effect.acquireRelease(
      Effect.sync(() =>
        makeInbound({
          self,
          ticker,
          metrics,
          observer,
          callerName: (peer) => names.of(peer),
          sockets: room.programs
        })
      ),
      (it) => Effect.sync(() => it.close())
    )
    const plane = yield* makeMeshPlane({
      config,
      identity,
      bootstrap: yield* loadBootstrap(config.node.dataDir),
      ticker,
      metrics,
      software: version,
      serve: inbound.dispatch,
      maxPending: room.shares?.pending,
      trouble
    })
    yield* room.followMesh(plane.host)
    yield* keepDataDir({
      dataDir: config.node.dataDir,
      identity,
      trouble,
      saveCatalogue: plane.catalogue.saveAgain
    })
    names.of = plane.nameOf

    const logDefect = Runtime.runFork(yield* Effect.runtime<never>())
    const outbound = yield* Effect.acquireRelease(
      Effect.sync(() =>
        makeOutbound({
          self,
          view: plane.view,
          policies: policiesOf(config),
          defaultPolicy,
          ticker,
          metrics,
          observer,
          local: inbound.dispatch,
          remote: (peer) => plane.links.dispatchTo(peer),
          whyMissing: (service) => plane.troubles.whyMissing(service),
          onDefect: (error, where) => {
            logDefect(Effect.logError(`a defect in ${where}; it cost that call at most`, error))
          }
        })
      ),
      (it) => Effect.sync(() => it.close())
    )
    yield* Effect.acquireRelease(
      Effect.sync(() => [
        plane.links.onUp((peer) => outbound.peerUp(peer)),
        plane.links.onDown((peer) => outbound.peerDown(peer))
      ]),
      (stops) =>
        Effect.sync(() => {
          for (const stop of stops) stop()
        })
    )

    const offer = yield* makeOffer({
      inbound,
      catalogue: plane.catalogue,
      addresses: plane.host.addresses,
      makeHealthChecker
    })
    yield* offer.follow(config)

    const listeners = yield* makeListeners(config, {
      dispatch: outbound.dispatch,
      self,
      ticker,
      metrics,
      sockets: room.clients
    })
    let current = config
    const reach = yield* PolicyWatch.make({ config: () => current, view: plane.view, ticker })
    const drain = yield* Drain.make({
      catalogue: plane.catalogue,
      links: plane.links,
      clients: plane.clients,
      inbound,
      deadline: () => current.drain.deadline
    })
    const readiness = (): ReadonlyArray<ReadinessItem> => [
      {
        name: "serving",
        ready: drain.state === "serving",
        detail: drain.state === "serving" ? "takes requests" : `the node is ${drain.state}`
      },
      plane.met()
    ]
    const views = yield* makeNodeViews({
      config,
      configPath: input.configPath,
      version,
      identity,
      ticker,
      telemetry,
      plane,
      inbound,
      outbound,
      drain,
      actors: supervisor.actors,
      readiness,
      room,
      trouble,
      proxy: () => listeners.proxy
    })
    const controls = makeControls({
      configPath: input.configPath,
      overrides: input.overrides ?? [],
      identity,
      plane,
      inbound,
      drain,
      current: () => current,
      reach,
      apply: (next) =>
        Effect.gen(function* () {
          room.follow(next)
          yield* listeners.follow(next.upstreams, next.drain.deadline)
          outbound.setPolicies(policiesOf(next))
          telemetry.setSample(next.telemetry.sample)
          yield* telemetry.reopenAccessLog
          yield* offer.follow(next)
          current = next
        })
    })
    const source: AdminSource["Type"] = { ...views, ...controls }
    const admin =
      config.admin === "off"
        ? undefined
        : yield* openAdmin({ ...config.admin, connections: room.shares?.admin }, source)

    const node: RunningNode = {
      name,
      peer,
      mesh: { id: mesh, name: meshName },
      listening: plane.host.listening(),
      addresses: plane.host.addresses(),
      admin,
      proxy: listeners.proxy,
      dispatch: outbound.dispatch,
      source,
      ready: Effect.asVoid(
        Effect.repeat(
          Effect.sync(() => plane.met().ready),
          { until: (ready) => ready, schedule: Schedule.spaced(readyCheckEvery) }
        )
      ),
      awaitService: (service) =>
        Effect.async<void>((resume) => {
          const look = () => {
            const endpoints = plane.view.current.services.get(service)?.endpoints ?? []
            const able = endpoints.some(
              ({ healthy, draining, member }) => healthy && !draining && member !== "dead"
            )
            if (!able) return
            stop()
            resume(Effect.void)
          }
          const stop = plane.view.subscribe((_, { services }) => {
            if (services.some(({ name }) => name === service)) look()
          })
          look()
          return Effect.sync(stop)
        }),
      // The host's own programs come last: they may still need an answer to finish theirs.
      drain: Effect.gen(function* () {
        const began = ticker.now()
        yield* drain.finished
        const rest = began + current.drain.deadline - ticker.now()
        yield* listeners.drain(Math.max(rest, lastWords))
      }),
      leave: Effect.asVoid(drain.leave),
      drainDeadline: () => current.drain.deadline,
      reload: controls.reload,
      stopped: Effect.zipRight(drain.left, Effect.sleep(farewell))
    }
    return node
  })

/** Starts a node whose actors are kept alive by the supervisor at hand. */
export const runSupervised = (
  input: NodeInput
): Effect.Effect<RunningNode, StartError, Scope.Scope | Supervisor> =>
  Effect.mapError(assemble(input), StartError.from)

/** Starts a node; it stops when the scope closes. Draining first is the caller's choice. */
export const runNode = (input: NodeInput): Effect.Effect<RunningNode, StartError, Scope.Scope> =>
  Effect.flatMap(Layer.build(Supervisor.layer()), (supervisor) =>
    Effect.provide(runSupervised(input), supervisor)
  )

/**
 * A node as a layer, for Effect programs. It is built when the node has met its mesh, so that the
 * first call finds its service, and drained before it is released.
 */
export class SkeinNode extends Context.Tag("skein/SkeinNode")<SkeinNode, RunningNode>() {
  /**
   * From a config value, as it would be written in `skein.yaml`, but with the defaults of a node
   * beside others: any free port on all interfaces (`node.listen`), no admin API, no proxy, and a
   * name of its own. `join` is an invite token, needed until `node.dataDir` holds an identity.
   */
  static readonly layer = (
    config: NodeConfigInput,
    options: { readonly join?: string | undefined } = {}
  ): Layer.Layer<SkeinNode | MeshCaller, StartError> => {
    const caller = Layer.effect(
      MeshCaller,
      Effect.map(SkeinNode, ({ dispatch, peer }) => ({ dispatch, peer }))
    )
    const node = embeddedInput(config, options.join).pipe(
      Effect.flatMap(runNode),
      Effect.tap((running) => Effect.addFinalizer(() => running.drain)),
      Effect.tap(untilMet)
    )
    return Layer.provideMerge(caller, Layer.scoped(SkeinNode, node))
  }
}
