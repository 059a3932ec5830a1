/**
 * A whole node. Everything in it lives in one scope: what starts, stops with it, in the reverse
 * order, and a start that fails half-way leaves nothing behind.
 *
 *     identity ─► telemetry ─► inbound ─► mesh plane ─► outbound ─► listeners ─► admin
 */
import { Clock, Context, Effect, Layer, type Scope } from "effect"
import { Supervisor } from "./actor/Supervisor.ts"
import { makeSystemTicker } from "./actor/SystemTicker.ts"
import type { ReadinessItem, ReloadResult } from "./admin/AdminModel.ts"
import { AdminListening, adminServer } from "./admin/AdminServer.ts"
import { AdminSource } from "./admin/AdminSource.ts"
import { MeshCaller } from "./api/MeshCaller.ts"
import type { ConfigOverride } from "./config/ConfigFile.ts"
import { ConfigError } from "./config/ConfigProblem.ts"
import { formatHostPort } from "./config/HostPort.ts"
import { makeNodeConfig, type NodeConfig, type NodeConfigInput } from "./config/NodeConfig.ts"
import { lockDataDir } from "./identity/DataDirLock.ts"
import type { IdentityCell } from "./identity/NodeIdentity.ts"
import { StorageTrouble } from "./identity/StorageTrouble.ts"
import { makeHealthChecker } from "./inbound/HealthChecker.ts"
import { makeInbound } from "./inbound/Inbound.ts"
import type { Dispatch } from "./model/Exchange.ts"
import { type PeerKey, ServiceName } from "./model/Names.ts"
import type { Policy } from "./model/Policy.ts"
import { loadBootstrap } from "./node/Bootstrap.ts"
import { makeControls } from "./node/Controls.ts"
import { keepDataDir } from "./node/DataDirKeeper.ts"
import { type Descriptors, readDescriptors } from "./node/Descriptors.ts"
import { Drain } from "./node/Drain.ts"
import { makeListeners } from "./node/Listeners.ts"
import { makeMeshPlane } from "./node/MeshPlane.ts"
import { makeNodeViews } from "./node/NodeSource.ts"
import { makeOffer } from "./node/Offer.ts"
import { openIdentity, prepareDataDir } from "./node/OpenIdentity.ts"
import { SocketRoom } from "./node/SocketRoom.ts"
import { StartError } from "./node/StartError.ts"
import { softwareVersion } from "./node/Version.ts"
import { makeOutbound } from "./outbound/Outbound.ts"
import { makeTelemetry } from "./telemetry/Telemetry.ts"

export interface NodeInput {
  readonly config: NodeConfig
  /** What `reload` reads again; undefined: the config is a value and cannot change. */
  readonly configPath?: string | undefined
  /** Laid over the file again at each reload: what the command line and the environment said. */
  readonly overrides?: ReadonlyArray<ConfigOverride> | undefined
  /** An invite token: only used while the data directory holds no identity. */
  readonly join?: string | undefined
  /** What this process may open, and has open. Default: what the system says. */
  readonly descriptors?: Descriptors | undefined
}

export interface RunningNode {
  readonly name: string
  readonly peer: PeerKey
  readonly mesh: { readonly id: string; readonly name: string }
  /** Where other nodes connect: multiaddrs. */
  readonly addresses: ReadonlyArray<string>
  readonly admin: string
  readonly proxy: string | undefined
  /** Entrance of the outbound stack, for programs in this process. */
  readonly dispatch: Dispatch
  /** What the admin API serves. */
  readonly source: AdminSource["Type"]
  /** Done as soon as this node knows a healthy endpoint of the service. */
  readonly awaitService: (service: ServiceName) => Effect.Effect<void>
  /** Announces, and is done when nothing is in flight or the deadline has passed. */
  readonly drain: Effect.Effect<void>
  /** Milliseconds; as the last reload says. */
  readonly drainDeadline: () => number
  readonly reload: Effect.Effect<ReloadResult, Error>
  /** Done when the node was told through its admin API to leave. */
  readonly stopped: Effect.Effect<void>
}

/** Time for the answer to `leave` to get out before the process ends. */
const farewell = "200 millis"

/** What the host's own programs get at least to finish theirs, when all else used up the time (ms). */
const lastWords = 1_000

const policiesOf = (config: NodeConfig): ReadonlyMap<ServiceName, Policy> =>
  new Map(Object.entries(config.policies).map(([name, policy]) => [ServiceName.make(name), policy]))

const assemble = (input: NodeInput) =>
  Effect.gen(function* () {
    const { config } = input
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

    const outbound = yield* Effect.acquireRelease(
      Effect.sync(() =>
        makeOutbound({
          self,
          view: plane.view,
          policies: policiesOf(config),
          ticker,
          metrics,
          observer,
          local: inbound.dispatch,
          remote: (peer) => plane.links.dispatchTo(peer)
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
    const admin = yield* Layer.build(
      adminServer({ ...config.admin, connections: room.shares?.admin }).pipe(
        Layer.provide(Layer.succeed(AdminSource, source))
      )
    ).pipe(Effect.map((context) => Context.get(context, AdminListening)))

    const node: RunningNode = {
      name,
      peer,
      mesh: { id: mesh, name: meshName },
      addresses: plane.host.addresses(),
      admin: "path" in admin ? `unix:${admin.path}` : formatHostPort(admin),
      proxy: listeners.proxy,
      dispatch: outbound.dispatch,
      source,
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
          const stop = plane.view.subscribe(look)
          look()
          return Effect.sync(stop)
        }),
      // The host's own programs come last: they may still need an answer to finish theirs.
      drain: Effect.gen(function* () {
        const began = yield* Clock.currentTimeMillis
        yield* drain.finished
        const rest = began + current.drain.deadline - (yield* Clock.currentTimeMillis)
        yield* listeners.drain(Math.max(rest, lastWords))
      }),
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

/** A node as a layer, for Effect programs. Drained before the layer is released. */
export class SkeinNode extends Context.Tag("skein/SkeinNode")<SkeinNode, RunningNode>() {
  /** From a config value, as it would be written in `skein.yaml`. */
  static readonly layer = (
    config: NodeConfigInput,
    options: { readonly join?: string } = {}
  ): Layer.Layer<SkeinNode | MeshCaller, StartError> => {
    const node = Layer.scoped(
      SkeinNode,
      Effect.try({
        try: () => makeNodeConfig(config),
        catch: (cause) => {
          if (!(cause instanceof ConfigError)) throw cause
          const { message } = cause
          return new StartError({ code: "invalid_config", message, cause })
        }
      }).pipe(
        Effect.flatMap((decoded) => runNode({ config: decoded, join: options.join })),
        Effect.tap((running) => Effect.addFinalizer(() => running.drain))
      )
    )
    const caller = Layer.effect(
      MeshCaller,
      Effect.map(SkeinNode, ({ dispatch, peer }) => ({ dispatch, peer }))
    )
    return Layer.provideMerge(caller, node)
  }
}
