/**
 * A whole node. Everything in it lives in one scope: what starts, stops with it, in the reverse
 * order, and a start that fails half-way leaves nothing behind.
 *
 *     identity ─► telemetry ─► request threads ─► mesh plane ─► policies, access rules
 *       ─► what is offered ─► listeners, names ─► programs' door ─► admin
 */
import { Clock, Effect, Layer, Schedule, type Scope } from "effect"
import type { AdminSource } from "./admin/AdminSource.ts"
import { AdminToken } from "./admin/AdminToken.ts"
import { programToken } from "./admin/ControlPlace.ts"
import { Supervisor } from "./mesh/actor/Supervisor.ts"
import { makeHealthChecker } from "./mesh/health/HealthChecker.ts"
import { lockDataDir } from "./mesh/keys/DataDirLock.ts"
import { StorageTrouble } from "./mesh/keys/StorageTrouble.ts"
import type { IdentityCell } from "./mesh/trust/NodeIdentity.ts"
import { factsOf } from "./mesh/trust/SessionBook.ts"
import { formatCaller, hostCaller, serviceCaller } from "./model/Caller.ts"
import { contain } from "./model/Defect.ts"
import type { Dispatch } from "./model/Exchange.ts"
import { isServiceName } from "./model/Names.ts"
import { refuse } from "./model/RefusedExchange.ts"
import { followAccessRules } from "./node/AccessRules.ts"
import { type AdminDoors, openAdminDoors } from "./node/AdminDoors.ts"
import { keepAudit } from "./node/AuditKeeper.ts"
import { loadBootstrap } from "./node/Bootstrap.ts"
import { makeControls } from "./node/Controls.ts"
import { keepDataDir } from "./node/DataDirKeeper.ts"
import { readDescriptors } from "./node/Descriptors.ts"
import { Drain } from "./node/Drain.ts"
import { makeFirstOffer } from "./node/FirstOffer.ts"
import { HostActors } from "./node/HostActors.ts"
import { HostPrograms } from "./node/HostPrograms.ts"
import { makeListeners, ungranted } from "./node/Listeners.ts"
import { localServices } from "./node/LocalServices.ts"
import { othersIn } from "./node/MeshMet.ts"
import { makeMeshNames } from "./node/MeshNames.ts"
import { makeMeshPlane } from "./node/MeshPlane.ts"
import { makeNodeViews } from "./node/NodeViews.ts"
import { makeOffer } from "./node/Offer.ts"
import { openIdentity, prepareDataDir } from "./node/OpenIdentity.ts"
import { makePlaneLog } from "./node/PlaneLog.ts"
import { PolicyWatch } from "./node/PolicyWatch.ts"
import { makeProgramDoor } from "./node/ProgramDoor.ts"
import { readinessOf } from "./node/Readiness.ts"
import { makePlanes } from "./node/RequestPlanes.ts"
import type { AssembledNode, AssemblyInput } from "./node/RunningNode.ts"
import { runtimeAdvice, runtimeOf } from "./node/Runtime.ts"
import { ServicePolicies } from "./node/ServicePolicies.ts"
import { makeSettingControls } from "./node/SettingControls.ts"
import { SocketRoom } from "./node/SocketRoom.ts"
import { StartError } from "./node/StartError.ts"
import { makeSystemTicker } from "./node/SystemTicker.ts"
import { sharedThreads, threadCount } from "./node/ThreadCount.ts"
import { accessUse } from "./node/ThreadRows.ts"
import { untilOffered } from "./node/UntilOffered.ts"
import { softwareVersion } from "./node/Version.ts"
import { DefectLog } from "./request/cells/DefectLog.ts"
import type { MetricRegistry } from "./request/cells/Metrics.ts"
import { defaultPolicy } from "./schema/PolicySchema.ts"
import { makeTelemetry } from "./telemetry/Telemetry.ts"

/** Time for the answer to `leave` to get out before the process ends. */
const farewell = "200 millis"

/** What the host's own programs get at least to finish theirs, when all else used up the time (ms). */
const lastWords = 1_000

const readyCheckEvery = "20 millis"

/** The plane that carries calls of programs is not in this thread. */
const noPlaneHere =
  (node: string): Dispatch =>
  (call, receiver) =>
    refuse(receiver, {
      code: "not_implemented",
      message: "the requests of this node run in threads of their own; it is not a program's",
      node,
      service: call.service,
      sent: false
    })

/** Each life tells how many there were before it: it counts nothing itself. */
const countRestarts = (metrics: MetricRegistry, restarts: number): void =>
  metrics
    .counter("skein_mesh_thread_restarts_total", "Lives of the mesh thread after the first.", [])
    .cell({})
    .inc(restarts)

const assemble = (input: AssemblyInput) =>
  Effect.gen(function* () {
    const { config } = input
    const runtime = runtimeOf(process.versions)
    if (!runtime.able) {
      const message = `this is ${runtime.name}. ${runtimeAdvice}`
      return yield* new StartError({ code: "runtime_too_old", message, cause: undefined })
    }
    yield* prepareDataDir(config.node.dataDir, input.join !== undefined)
    yield* input.lock ?? lockDataDir(config.node.dataDir, yield* Clock.currentTimeMillis)
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
    const { registry: metrics } = telemetry
    const log = yield* makePlaneLog
    const audit = yield* keepAudit({ config, mesh, node: name, ticker, metrics })
    const { report: onDefect } = new DefectLog({ registry: metrics, log, now: () => ticker.now() })
    ticker.onDefect = onDefect
    countRestarts(metrics, input.restarts ?? 0)
    const room = yield* SocketRoom.make(input.descriptors ?? readDescriptors())
    room.follow(config)

    const wanted = threadCount(config.node.threads, room.shares?.sockets)
    const workers =
      input.planes?.length ??
      sharedThreads(wanted, input.program === undefined ? 1 : 0, process.versions)
    if (workers < wanted) {
      yield* Effect.logInfo(
        `${runtime.name} cannot share a port among threads (22.12 and newer can): ${workers} carry requests instead of ${wanted}`
      )
    }
    const planes = yield* makePlanes({
      workers,
      program: input.program,
      kept: input.planes,
      ticker,
      reports: telemetry.reports,
      ...{ audit, mesh },
      onDefect,
      setup: {
        ...{ self, defaultPolicy, suffix: config.dns?.suffix },
        ...{ accessLog: accessLog !== "off", traces: otlp !== undefined }
      }
    })
    const { threads } = planes
    room.tell(threads.count, (message) => threads.post(message))
    threads.post({ type: "sample", share: sample })
    threads.post({ type: "rights", facts: factsOf(identity.current.certificate) })
    const actors = new HostActors()
    const plane = yield* makeMeshPlane({
      config,
      identity,
      bootstrap: yield* loadBootstrap(config.node.dataDir),
      ticker,
      metrics,
      software: version,
      loopLate: telemetry.loopLate,
      gate: threads.gate,
      onSession: (session) => threads.post({ type: "session", session }),
      onSessionEnd: (peer, reason) => threads.post({ type: "session.end", peer, reason }),
      onRights: (facts) => threads.post({ type: "rights", facts }),
      onOut: (reason) => threads.post({ type: "out", reason }),
      applied: planes.applied,
      onDefect,
      callsBack: input.program !== undefined,
      maxPending: room.shares?.pending,
      trouble,
      audit,
      accessUse: accessUse(threads),
      actors: actors.ask
    })
    yield* room.followMesh(plane.host)
    yield* keepDataDir({
      dataDir: config.node.dataDir,
      identity,
      trouble,
      saveCatalogue: plane.saveAgain,
      ticker
    })
    const policies = new ServicePolicies({
      config,
      configName: input.configPath ?? "the program",
      settings: plane.settings,
      catalogue: plane.catalogue,
      tell: (policies) => threads.post({ type: "policies", policies }),
      later: (run) => void setImmediate(() => contain(onDefect, "a policy of the mesh", run))
    })
    yield* planes.follow(plane)
    // Before anything is served: nobody gets through who may not.
    const accessRules = yield* followAccessRules(plane.settings, {
      ...{ mesh, log },
      tell: (settings) => threads.post({ type: "access", settings })
    })

    let current = config
    const programs = new HostPrograms({
      node: name,
      own: input.programs ?? [],
      before: input.attached ?? [],
      onChange: (attached) => input.onAttached?.(attached),
      services: () => localServices(current),
      rights: () => plane.ownRights(),
      ...{ log, ticker },
      post: (message) => threads.post(message)
    })
    const offer = yield* makeOffer({
      inbound: {
        setServices: (services) => threads.post({ type: "services", services }),
        setHealth: (service, endpoint, healthy, reason) =>
          threads.post({ type: "health", service, endpoint, healthy, reason })
      },
      catalogue: plane.catalogue,
      addresses: plane.host.addresses,
      makeHealthChecker,
      programs: programs.offers()
    })
    const firstOffer = yield* makeFirstOffer(
      {
        offer,
        isNewcomer: !plane.met().ready && othersIn(plane.catalogue.current(), peer) === 0,
        met: Effect.asVoid(
          Effect.repeat(
            Effect.sync(() => plane.met().ready),
            { until: (ready) => ready, schedule: Schedule.spaced(readyCheckEvery) }
          )
        ),
        peers: () => plane.keeper.connectedPeers(),
        syncWith: plane.catalogue.syncWith
      },
      config
    )

    yield* programs.follow(offer, planes)

    const listeners = yield* makeListeners(config, threads)
    const names =
      config.dns === undefined
        ? undefined
        : yield* makeMeshNames({
            config: config.dns,
            dataDir: config.node.dataDir,
            view: plane.view,
            catalogue: plane.catalogue,
            metrics,
            open: (spec) => threads.open(spec),
            now: () => ticker.now(),
            deadline: () => current.drain.deadline,
            grpcWeb: config.outbound.grpcWeb?.origins,
            warn: (message) => log("warning", message)
          })
    const reach = yield* PolicyWatch.make({ config: () => current, view: plane.view, ticker })
    const drain = yield* Drain.make({
      catalogue: plane.catalogue,
      keeper: plane.keeper,
      clients: plane.clients,
      threads,
      inFlight: planes.inFlight,
      deadline: () => current.drain.deadline
    })
    const programsToken = new AdminToken(programToken(config.node.dataDir), "programs")
    if (config.programs.some(({ listen }) => !("path" in listen))) yield* programsToken.keep
    const door = yield* makeProgramDoor({
      config: config.programs,
      self: { node: name, peer, mesh, zone: config.node.zone },
      programs: programs.attached,
      threads: threads.count,
      open: (spec) => threads.open(spec),
      drainDeadline: () => current.drain.deadline,
      isDraining: () => drain.state !== "serving",
      holdsToken: (token) => programsToken.isHeldBy(`bearer ${token}`),
      tell: () => programs.tell(),
      offer: programs.offer,
      whyNotServed: (service) => programs.whyNotServed(service),
      awaitService: (service) => untilOffered(plane.view, service),
      view: plane.view,
      ...{ metrics, log, onDefect, ticker }
    })
    actors.add(() => programs.asked(input.askActors))
    actors.add(() => door.asked())
    const callers = () => [...listeners.callers(), ...door.callers]
    const notGranted = () => ungranted(callers(), plane.ownRights())
    yield* Effect.forEach(notGranted(), (line) => Effect.logWarning(line), { discard: true })
    const readiness = () => readinessOf({ drain, firstOffer, plane })
    let admin: AdminDoors | undefined
    const views = yield* makeNodeViews({
      config,
      configPath: input.configPath,
      version,
      identity,
      ticker,
      telemetry,
      plane,
      threads,
      accessRules,
      drain,
      actors: supervisor.actors,
      programActors: actors,
      programOffers: () => programs.offers(),
      readiness,
      room,
      trouble,
      proxy: () => listeners.proxy,
      names,
      control: () => admin?.control?.path,
      callers,
      doors: () => door.callers,
      attached: () => programs.attached.all()
    })
    const controls = makeControls({
      configPath: input.configPath,
      overrides: input.overrides ?? [],
      identity,
      plane,
      audit,
      inFlight: planes.inFlight,
      drain,
      current: () => current,
      reach,
      ungranted: notGranted,
      apply: (next) =>
        Effect.gen(function* () {
          room.follow(next)
          yield* listeners.follow(next, next.drain.deadline)
          policies.follow(next)
          threads.post({ type: "sample", share: next.telemetry.sample })
          yield* telemetry.reopenAccessLog
          yield* firstOffer.follow(next)
          current = next
          input.onReloaded?.(next)
        })
    })
    const settingControls = makeSettingControls({
      policies,
      settings: plane.settings,
      spread: plane.settingSpread,
      protocolOf: (service) =>
        isServiceName(service) ? plane.view.current.services.get(service)?.protocol : undefined,
      nameOf: plane.nameOf
    })
    const source: AdminSource["Type"] = { ...views, ...controls, ...settingControls }
    admin = yield* openAdminDoors({
      ...{ config, source, ticker, audit },
      connections: room.shares?.admin
    })

    const node: AssembledNode = {
      name,
      peer,
      mesh: { id: mesh, name: meshName },
      listening: plane.host.listening(),
      addresses: plane.host.addresses(),
      admin: admin.port,
      proxy: listeners.proxy,
      names: names && { address: names.address, suffix: names.suffix },
      attach: door.callers.map(({ address, as }) => ({
        address,
        as: formatCaller(as === undefined ? hostCaller(name) : serviceCaller(as))
      })),
      dispatch: planes.dispatch ?? noPlaneHere(name),
      threads: workers,
      source,
      // What was heard of the mesh is shown in a moment: who is told of it calls at once.
      ready: Effect.zipRight(firstOffer.ready, plane.show),
      awaitService: (service) => untilOffered(plane.view, service),
      // The host's own programs come last: they may still need an answer to finish theirs.
      drain: Effect.gen(function* () {
        const began = ticker.now()
        yield* drain.finished
        const rest = began + current.drain.deadline - ticker.now()
        const left = Math.max(rest, lastWords)
        yield* Effect.zip(listeners.drain(left), door.drain(left), { concurrent: true })
      }),
      leave: Effect.asVoid(drain.leave),
      drainDeadline: () => current.drain.deadline,
      reload: controls.reload,
      mayServe: (service) => Effect.suspend(() => programs.whyNotServed(service) ?? Effect.void),
      serve: (offers) => programs.serveOwn(offers),
      stopped: Effect.raceFirst(
        Effect.zipRight(drain.left, Effect.sleep(farewell)),
        supervisor.broken
      )
    }
    return node
  })

/** Starts a node whose actors are kept alive by the supervisor at hand. */
export const runSupervised = (
  input: AssemblyInput
): Effect.Effect<AssembledNode, StartError, Scope.Scope | Supervisor> =>
  Effect.mapError(assemble(input), StartError.from)

/** Starts a node; it stops when the scope closes. Draining first is the caller's choice. */
export const runNode = (
  input: AssemblyInput
): Effect.Effect<AssembledNode, StartError, Scope.Scope> =>
  Effect.flatMap(Layer.build(Supervisor.layer()), (supervisor) =>
    Effect.provide(runSupervised(input), supervisor)
  )
