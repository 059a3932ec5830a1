/**
 * The mesh plane of a node, put together: host, links, RPC, catalogue, membership, and what keeps
 * them in step. It publishes one immutable view; the request plane never waits for it.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { Effect, Layer, Runtime, type Scope } from "effect"
import type { ReadinessItem } from "../admin/NodeModel.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { Supervisor } from "../mesh/actor/Supervisor.ts"
import { type CatalogueShape, makeCatalogue } from "../mesh/catalogue/CatalogueService.ts"
import { CatalogueStore } from "../mesh/catalogue/CatalogueStore.ts"
import { connectByRpc } from "../mesh/catalogue/CatalogueSync.ts"
import { MeshFindings } from "../mesh/catalogue/MeshFindings.ts"
import { makeRecordDoor } from "../mesh/catalogue/RecordDoor.ts"
import { RefusedRecords } from "../mesh/catalogue/RefusedRecords.ts"
import type { LanDiscovery } from "../mesh/discovery/LanDiscovery.ts"
import type { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import { Gossip } from "../mesh/host/Gossip.ts"
import type { HostError } from "../mesh/host/HostError.ts"
import type { PeerFigures } from "../mesh/host/MeshRpc.ts"
import { serveMeshRpc } from "../mesh/host/MeshRpcServer.ts"
import type { RelayGate } from "../mesh/host/RelayListener.ts"
import type { StorageTrouble } from "../mesh/keys/StorageTrouble.ts"
import type { MembershipShape } from "../mesh/membership/MembershipService.ts"
import { PeerClocks } from "../mesh/membership/PeerClocks.ts"
import { EnvelopeCache } from "../mesh/trust/Envelope.ts"
import type { IdentityCell } from "../mesh/trust/NodeIdentity.ts"
import { describeRevocation } from "../mesh/trust/Revocations.ts"
import type { RecordAudit } from "../model/AuditEvent.ts"
import { contain, type OnDefect } from "../model/Defect.ts"
import type { MeshViewCell } from "../model/MeshView.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Session, SessionFacts } from "../model/Session.ts"
import type { Ticker } from "../model/Time.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import type { AccessUse } from "../request/inbound/AccessGuard.ts"
import { isOfNodes } from "../schema/SettingKinds.ts"
import { type AddressChecks, keepAddresses } from "./AddressChecks.ts"
import { overusedEvent, revokedEvent, settingEvent } from "./AuditEvents.ts"
import type { Bootstrap } from "./Bootstrap.ts"
import { BusyPeers } from "./BusyPeers.ts"
import type { CertificateRenewal } from "./CertificateRenewal.ts"
import { ClockReport } from "./ClockReport.ts"
import { keepConduct } from "./ConductLog.ts"
import { Convergence } from "./Convergence.ts"
import { type Credentials, keepCredentials } from "./Credentials.ts"
import { makeDialBack } from "./DialBack.ts"
import { keepEphemeral, longestForgotten } from "./EphemeralNodes.ts"
import { watchExpiry } from "./ExpiryWatch.ts"
import { ForgottenFile } from "./ForgottenFile.ts"
import { ForgottenNodes, followForgotten } from "./ForgottenNodes.ts"
import { GoneElsewhere } from "./GoneElsewhere.ts"
import type { HostActors } from "./HostActors.ts"
import { InviteUsesKeeper } from "./InviteUsesKeeper.ts"
import { meetOnLan } from "./LanMeeting.ts"
import { LinkKeeper } from "./LinkKeeper.ts"
import { meshAnswers } from "./MeshAnswers.ts"
import { meshDoor } from "./MeshDoor.ts"
import { followMesh } from "./MeshFollowers.ts"
import { MeshMet, othersIn } from "./MeshMet.ts"
import { type MeshNetwork, makeMeshNetwork } from "./MeshNetwork.ts"
import { MeshSettings, settingJudge } from "./MeshSettings.ts"
import { type MeshSurveys, makeMeshSurveys } from "./MeshSurveys.ts"
import { MeshTroubles, tellTroubles } from "./MeshTroubles.ts"
import { MeshTrust } from "./MeshTrust.ts"
import { makeNodeMembership } from "./NodeMembership.ts"
import { PeerNames } from "./PeerNames.ts"
import { RefusalLog } from "./RefusalLog.ts"
import type { Stranded } from "./StrandedMembers.ts"
import { ViewKeeper } from "./ViewKeeper.ts"

export interface MeshPlaneOptions {
  readonly config: NodeConfig
  readonly identity: IdentityCell
  readonly bootstrap: Bootstrap
  readonly ticker: Ticker
  readonly metrics: MetricRegistry
  readonly software: string
  /** The most that timers of this thread were late lately, ms. */
  readonly loopLate: () => number
  /** The node's port, which request threads have open. */
  readonly gate: RelayGate
  /** What links are made from, and what ends them. */
  readonly onSession: (session: Session) => void
  readonly onSessionEnd: (peer: PeerKey, reason: string) => void
  /** What this node itself may offer and speak for is another now. */
  readonly onRights: (facts: SessionFacts) => void
  /** By what this node is out of the mesh, so that nobody offers it anything; undefined: it is in again. */
  readonly onOut: (reason: string | undefined) => void
  /** Done when the request planes go by what the view says now, or are too busy to be waited for. */
  readonly applied: Effect.Effect<void>
  /** Hears of what throws in a listener: the others hear all the same. */
  readonly onDefect: OnDefect
  /** The port is in a thread that others keep busy: who connects is called back (CallBacks.ts). */
  readonly callsBack: boolean
  /** Nodes at a time that connect and have not shown yet who they are. Default 512. */
  readonly maxPending?: number | undefined
  /** Hears what of the catalogue cannot be stored. */
  readonly trouble: StorageTrouble
  /** Hears who came in, who was refused, and what keys were used for. */
  readonly audit: RecordAudit
  /** How each request thread has met the access rules. */
  readonly accessUse: Effect.Effect<ReadonlyArray<AccessUse>>
  /** Asks the programs of this host how their actors fare. */
  readonly actors: HostActors["ask"]
}

export interface MeshPlane
  extends Pick<MeshNetwork, "addressesOf" | "clients" | "host" | "keeper">,
    Pick<
      MeshTrust,
      | "admitted"
      | "certificateOf"
      | "ownRights"
      | "revocations"
      | "rightsOf"
      | "sessions"
      | "thrownOut"
    >,
    MeshSurveys,
    Omit<Credentials, "rootMove"> {
  readonly catalogue: CatalogueShape
  /** What this plane keeps on disk is lost: it is written again within seconds. */
  readonly saveAgain: Effect.Effect<void>
  readonly settings: MeshSettings
  readonly membership: MembershipShape
  readonly clocks: PeerClocks
  readonly clockReport: ClockReport
  readonly convergence: Convergence
  /** How this node fares, as it tells others. */
  readonly figures: () => PeerFigures
  readonly addressChecks: AddressChecks
  readonly view: MeshViewCell
  readonly nameOf: (peer: PeerKey) => string
  /** What is wrong between nodes. */
  readonly troubles: MeshTroubles
  readonly refused: RefusedRecords
  /** Who was away when a root was withdrawn, and is not back. */
  readonly stranded: () => ReadonlyArray<Stranded>
  /** What the identity says of roots, or its certificate, was changed by this node itself. */
  readonly rootsChanged: () => void
  /** Whether the mesh has been met since the start, as far as one must wait for that. */
  readonly met: () => ReadinessItem
  /** Done when every request thread goes by what the catalogue holds now. */
  readonly show: Effect.Effect<void>
}

export const makeMeshPlane = (
  options: MeshPlaneOptions
): Effect.Effect<MeshPlane, HostError, Scope.Scope | Supervisor> =>
  Effect.gen(function* () {
    const { audit, config, identity, metrics, onDefect, ticker } = options
    const { node } = config
    const self = identity.current.peer
    const scope = yield* Effect.scope
    const runtime = yield* Effect.runtime<never>()
    const runFork = (effect: Effect.Effect<void>): void => {
      Runtime.runFork(runtime)(effect, { scope })
    }
    const trust = new MeshTrust({
      ...{ identity, audit, dataDir: node.dataDir },
      ...{ onOut: options.onOut, onRights: options.onRights },
      wall: () => ticker.wall(),
      onSession: options.onSession,
      onSessionEnd: options.onSessionEnd
    })
    const { admitted, revocations, sessions, thrownOut } = trust
    const cache = new EnvelopeCache()
    const forgotten = new ForgottenNodes({
      now: () => ticker.now(),
      isUp: (peer) => late.connections?.isUp(peer) ?? false
    })
    const forgottenFile = new ForgottenFile({
      ...{ forgotten, trouble: options.trouble, dataDir: node.dataDir },
      clock: ticker
    })
    yield* forgottenFile.load(longestForgotten)
    const elsewhere = new GoneElsewhere(() => ticker.now())
    const refusals = yield* RefusalLog.make(metrics)
    const handshakes = metrics.counter(
      "skein_handshakes_total",
      "Connections between nodes that were made by a whole handshake, which is what is dear about them, by direction (inbound: from another node).",
      ["direction"]
    )
    const resumptions = metrics.counter(
      "skein_resumptions_total",
      "Connections between nodes that were connected a short while before, by direction (inbound: from another node). resumed: made again without a whole handshake. declined: that was asked for and could not be, as after a restart, so that a whole handshake followed.",
      ["direction", "result"]
    )
    const clocks = new PeerClocks(ticker)
    const busy = new BusyPeers(() => ticker.now())
    // Peers may knock as soon as the host listens, before there is a catalogue to ask.
    const late: {
      catalogue?: CatalogueShape
      membership?: MembershipShape
      keeper?: LinkKeeper
      names?: PeerNames
      view?: ViewKeeper
      connections?: ConnectionKeeper
      lan?: LanDiscovery | undefined
      renewal?: CertificateRenewal
      uses?: InviteUsesKeeper
      rootMove?: { readonly wake: () => void }
    } = {}

    const nameOf = (peer: PeerKey) => late.names?.of(peer) ?? peer
    const isKnown = (peer: PeerKey) => (late.keeper?.addressesOf(peer) ?? []).length > 0
    const conduct = yield* keepConduct({
      ...{ metrics, nameOf, now: () => ticker.now() },
      disconnect: (peer, reason) => {
        sessions.end(peer, reason)
        late.connections?.disconnect(peer, new Error(reason))
      }
    })
    const clockReport = yield* ClockReport.keep(
      {
        clocks,
        metrics,
        nameOf,
        members: () =>
          Array.from(late.catalogue?.current().entries() ?? [], ({ record }) => record.peer),
        onSet: () => late.renewal?.clockSet()
      },
      ticker
    )

    const network = yield* makeMeshNetwork({
      ...{ node, identity, ticker, conduct, onDefect },
      ...{ gate: options.gate, callsBack: options.callsBack, maxPending: options.maxPending },
      addressBook: () => late.keeper,
      doubt: () => late.membership?.awareness() ?? 0,
      encrypter: meshDoor({
        ...{ revocations, heard: trust.heard },
        trust: () => trust.keeper,
        cutOffFor: (peer) => conduct.cutOffFor(peer),
        ...{ identity, admitted, ticker, refusals, clocks, clockReport, isKnown, runFork, audit },
        onUse: (use) => late.uses?.uses.use(use) && runFork(late.uses.tell(use)),
        // Nobody is judged before there are settings to ask.
        mayUse: (...use) => late.uses?.uses.mayUse(...use) ?? false,
        dataDir: node.dataDir,
        cache: cache.chains,
        onSession: (certificate, keys) => sessions.made(certificate, keys),
        resumptions: sessions,
        onHandshake: (direction) => handshakes.cell({ direction }).inc(),
        onResumption: (direction, outcome) =>
          resumptions.cell({ direction, result: outcome }).inc(),
        catalogue: () => late.catalogue?.current(),
        stateOf: (peer) => late.membership?.stateOf(peer),
        onBusy: (peer, retryAfter) => {
          busy.told(peer, retryAfter)
          late.connections?.askedToWait(peer, retryAfter)
        },
        onRoots: trust.rootsHeard,
        resign: Effect.suspend(() => {
          trust.renewed()
          return late.catalogue?.resign ?? Effect.void
        })
      })
    })
    const { addressesOf, clients, gossip, host, keeper, transport } = network
    late.connections = keeper

    const refused = new RefusedRecords()
    const convergence = new Convergence({ clocks, metrics })
    const catalogue = yield* makeCatalogue({
      ...{ self, conduct, ticker },
      name: identity.current.name,
      zone: node.zone,
      ephemeral: node.ephemeral,
      software: options.software,
      door: refused.watch(
        makeRecordDoor(identity, {
          cache,
          revocations,
          forgotten: forgotten.why,
          onCertificate: trust.showed,
          onUntimely: ({ peer, message }) => clockReport.add({ peer, what: "record", message }),
          settings: settingJudge
        })
      ),
      settingsOver: settingJudge.over,
      // Alone there is nobody to differ from.
      clock: () =>
        late.catalogue === undefined || othersIn(late.catalogue.current(), self) === 0
          ? "right"
          : clocks.verdict,
      connect: connectByRpc(clients),
      neighbours: () => keeper.connectedPeers(),
      onFirstSeen: (record, way) => convergence.firstSeen(record, way),
      onCompared: (peer, result) => convergence.compared(peer, result),
      gone: forgotten.gone,
      onGone: elsewhere.hear
    }).pipe(
      Effect.provide(
        CatalogueStore.layerDisk(node.dataDir, options.trouble).pipe(
          Layer.provide(NodeContext.layer)
        )
      ),
      Effect.provideService(Gossip, gossip)
    )
    late.catalogue = catalogue
    const settings = new MeshSettings({
      ...{ identity, catalogue, onDefect },
      onWritten: (setting, holds) => {
        if (isOfNodes(setting.kind)) return
        audit(settingEvent(setting, holds))
        const revoked = revokedEvent(setting, holds)
        if (revoked !== undefined) audit(revoked)
      },
      holders: trust.holders
    })
    trust.follow({
      ...{ catalogue, cache, runFork, connections: keeper },
      run: (effect) => Runtime.runPromise(runtime)(effect),
      lookAnew: (members) => late.view?.members(members),
      onRoots: () => late.rootMove?.wake()
    })
    followForgotten({
      ...{ forgotten, settings, catalogue, self, runFork },
      onForgotten: (peers) => trust.stranded.forget(peers)
    })
    const uses = new InviteUsesKeeper({
      ...{ settings, self, author: identity.current.name },
      onOverused: (found) => audit(overusedEvent(found))
    })
    late.uses = uses
    yield* Effect.sync(() => trust.begin())
    const { answerPings, membership } = yield* makeNodeMembership({
      ...{ identity, network, revocations, cache, conduct, clocks, clockReport },
      ...{ nameOf, metrics, ticker }
    })
    late.membership = membership
    const isNewcomer = options.bootstrap.size > 0 && othersIn(catalogue.current(), self) === 0
    const linkKeeper = new LinkKeeper({
      ...{ self, isNewcomer, ticker },
      connections: keeper,
      bootstrap: options.bootstrap,
      catalogue: catalogue.current,
      nearby: (peer) => late.lan?.addressesOf(peer) ?? [],
      subjects: membership.subjects
    })
    late.keeper = linkKeeper

    const met = new MeshMet({
      ...{ self, bootstrap: options.bootstrap, catalogue: catalogue.current },
      now: () => ticker.now()
    })
    /** A bug of whoever follows the view is its own. */
    const guarded = (run: () => void) => () => contain(onDefect, "a follower of the mesh view", run)
    const viewKeeper = new ViewKeeper({
      self,
      memberOf: (peer) =>
        thrownOut() === undefined || peer === self ? membership.stateOf(peer) : "left",
      later: (run) => void setImmediate(guarded(run))
    })
    late.view = viewKeeper
    const found = new MeshFindings(membership.stateOf)
    const names = new PeerNames({
      self,
      ownName: () => identity.current.name,
      catalogue: catalogue.current,
      admitted: (peer) => admitted.get(peer)?.name
    })
    late.names = names
    yield* followMesh({
      ...{ catalogue, membership, keeper, names, linkKeeper, found, viewKeeper, met, runFork },
      isNewcomer
    })
    yield* Effect.sync(guarded(() => viewKeeper.show()))
    yield* keepEphemeral({
      ...{ forgotten, elsewhere, catalogue, membership, ticker },
      ...{ file: forgottenFile, isEphemeral: node.ephemeral },
      isUp: (peer) => keeper.isUp(peer)
    })
    yield* watchExpiry({ admitted, sessions, keeper, wall: () => ticker.wall() })

    const troubles = new MeshTroubles({
      name: () => identity.current.name,
      found,
      status: catalogue.status,
      conflicts: () => viewKeeper.conflicts,
      settings: () => settings.table.conflicts(),
      overused: () => uses.uses.overused(),
      ...{ refused, conduct, nameOf, thrownOut, leftBehind: trust.leftBehind },
      roots: () => identity.current.roots,
      taken: (node, service) => {
        const one = revocations.current.grantOf(node, service)
        return one && describeRevocation(one)
      },
      now: () => ticker.wall()
    })
    yield* tellTroubles(troubles, ticker)

    const credentials = yield* keepCredentials({
      ...{ identity, network, trust, catalogue, conduct, audit },
      dataDir: node.dataDir
    })
    late.renewal = credentials.renewal
    late.rootMove = credentials.rootMove
    const dialBack = makeDialBack({
      host,
      announced: (peer) => {
        const record = catalogue.current().node(peer)?.record
        return record === undefined || record.state === "left" ? [] : record.addresses
      },
      now: () => ticker.now()
    })
    const supervisor = yield* Supervisor
    const figures = (): PeerFigures => {
      const { epoch, version } = catalogue.status()
      return {
        ...{ epoch, version, software: options.software },
        lateMs: Math.round(options.loopLate()),
        doubt: membership.awareness(),
        waiting: supervisor.actors().reduce((sum, { mailbox }) => sum + mailbox, 0)
      }
    }
    const show = Effect.zipRight(Effect.sync(guarded(() => viewKeeper.show())), options.applied)
    const answers = meshAnswers({
      ...{ identity, admitted, revocations, catalogue, convergence, membership },
      ...{ dialBack, figures, audit, accessUse: options.accessUse, actors: options.actors },
      sessions: credentials.sessionRenewal,
      show
    })
    yield* answerPings
    yield* Layer.buildWithScope(
      serveMeshRpc(transport, conduct).pipe(Layer.provide(answers)),
      scope
    )

    if (node.discovery.mdns) {
      late.lan = yield* meetOnLan({
        ...{ mesh: identity.current.mesh, self, keeper, ticker },
        ...{ catalogue: catalogue.current, listen: node.listen, addresses: host.addresses() },
        isDead: (peer) => membership.stateOf(peer) === "dead",
        warn: (message) => runFork(Effect.logWarning(message))
      })
    }
    const addressChecks = yield* keepAddresses({
      addresses: host.addresses,
      isConfigured: node.announce !== undefined,
      peers: () => keeper.connectedPeers(),
      client: clients.client,
      nameOf: (peer) => names.of(peer)
    })
    yield* Effect.acquireRelease(
      Effect.sync(() => keeper.onUp(() => addressChecks.memberUp())),
      (stop) => Effect.sync(stop)
    )
    const surveys = yield* makeMeshSurveys({
      ...{ self, network, catalogue, membership, convergence, busy }
    })
    return {
      ...{ host, keeper, clients, addressesOf },
      ...{ admitted, revocations, sessions, thrownOut },
      ownRights: trust.ownRights,
      rightsOf: trust.rightsOf,
      certificateOf: trust.certificateOf,
      rootsChanged: trust.rootsHeard,
      stranded: () =>
        trust.stranded.all({
          isHeld: (peer) => catalogue.current().node(peer) !== undefined,
          revocations: revocations.current,
          now: ticker.wall()
        }),
      ...{ catalogue, settings, membership, clocks, clockReport, convergence, figures },
      ...{ addressChecks, troubles, refused },
      saveAgain: Effect.zipRight(catalogue.saveAgain, forgottenFile.lost),
      view: viewKeeper.view,
      show,
      met: met.item,
      nameOf: (peer) => names.of(peer),
      ...credentials,
      ...surveys
    }
  })
