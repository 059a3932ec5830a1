/**
 * The mesh plane of a node, put together: host, links, RPC, catalogue, membership, and what keeps
 * them in step. It publishes one immutable view; the request plane never waits for it.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { Context, Effect, Layer, Runtime, type Scope } from "effect"
import type { ReadinessItem } from "../admin/AdminModel.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { Supervisor } from "../mesh/actor/Supervisor.ts"
import { Catalogue, type EntryChange } from "../mesh/catalogue/Catalogue.ts"
import { type CatalogueShape, makeCatalogue } from "../mesh/catalogue/CatalogueService.ts"
import { CatalogueStore } from "../mesh/catalogue/CatalogueStore.ts"
import { connectByRpc } from "../mesh/catalogue/CatalogueSync.ts"
import { MeshFindings } from "../mesh/catalogue/MeshFindings.ts"
import { makeRecordDoor } from "../mesh/catalogue/RecordDoor.ts"
import { RefusedRecords } from "../mesh/catalogue/RefusedRecords.ts"
import { CallBacks } from "../mesh/host/CallBacks.ts"
import { ConnectionKeeper } from "../mesh/host/ConnectionKeeper.ts"
import { Gossip } from "../mesh/host/Gossip.ts"
import type { HostError } from "../mesh/host/HostError.ts"
import { layerLibp2p } from "../mesh/host/Libp2pGossip.ts"
import { makeLibp2pTransport } from "../mesh/host/Libp2pTransport.ts"
import { MeshHost, type MeshHostShape, makeMeshHost } from "../mesh/host/MeshHost.ts"
import type { PeerFigures } from "../mesh/host/MeshRpc.ts"
import { type MeshRpcClients, makeMeshRpcClients } from "../mesh/host/MeshRpcClients.ts"
import { serveMeshRpc } from "../mesh/host/MeshRpcServer.ts"
import { type RelayGate, RelayListener } from "../mesh/host/RelayListener.ts"
import { saveIdentity } from "../mesh/keys/DataDir.ts"
import type { StorageTrouble } from "../mesh/keys/StorageTrouble.ts"
import { makeMembershipPort } from "../mesh/membership/MembershipPort.ts"
import { type MembershipShape, makeMembership } from "../mesh/membership/MembershipService.ts"
import { PeerClocks } from "../mesh/membership/PeerClocks.ts"
import { Pings } from "../mesh/membership/Pings.ts"
import { makeStatementDoor } from "../mesh/membership/Statement.ts"
import { makeAdmission } from "../mesh/trust/Admission.ts"
import { AdmittedPeers } from "../mesh/trust/AdmittedPeers.ts"
import { defaultSkew } from "../mesh/trust/Certificate.ts"
import { EnvelopeCache } from "../mesh/trust/Envelope.ts"
import { HandshakeGate } from "../mesh/trust/HandshakeGate.ts"
import type { IdentityCell } from "../mesh/trust/NodeIdentity.ts"
import { SessionBook } from "../mesh/trust/SessionBook.ts"
import { contain, type OnDefect } from "../model/Defect.ts"
import type { MeshViewCell } from "../model/MeshView.ts"
import type { PeerKey } from "../model/Names.ts"
import type { Session } from "../model/Session.ts"
import type { Ticker } from "../model/Time.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import { AccusationLog } from "./AccusationLog.ts"
import { type AddressChecks, keepAddresses } from "./AddressChecks.ts"
import type { Bootstrap } from "./Bootstrap.ts"
import { BusyPeers } from "./BusyPeers.ts"
import { type CertificateRenewal, keepCertificate } from "./CertificateRenewal.ts"
import { ClockReport } from "./ClockReport.ts"
import { Convergence } from "./Convergence.ts"
import { makeDialBack } from "./DialBack.ts"
import { LinkKeeper } from "./LinkKeeper.ts"
import { meshAnswers } from "./MeshAnswers.ts"
import { MeshTroubles, tellTroubles } from "./MeshTroubles.ts"
import { PeerNames } from "./PeerNames.ts"
import { makePeerSurvey, type PeerSurvey, peerPortByRpc } from "./PeerSurvey.ts"
import { RefusalLog } from "./RefusalLog.ts"
import { SessionRenewal } from "./SessionRenewal.ts"
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
}

export interface MeshPlane {
  readonly host: MeshHostShape
  readonly keeper: ConnectionKeeper
  readonly sessions: SessionBook
  readonly sessionRenewal: SessionRenewal
  readonly admitted: AdmittedPeers
  readonly clients: MeshRpcClients
  readonly catalogue: CatalogueShape
  readonly membership: MembershipShape
  readonly renewal: CertificateRenewal
  readonly clocks: PeerClocks
  readonly clockReport: ClockReport
  readonly convergence: Convergence
  /** How this node fares, as it tells others. */
  readonly figures: () => PeerFigures
  readonly survey: PeerSurvey
  readonly addressChecks: AddressChecks
  readonly view: MeshViewCell
  readonly nameOf: (peer: PeerKey) => string
  /** Where a peer can be dialled. */
  readonly addressesOf: (peer: PeerKey) => ReadonlyArray<string>
  /** What is wrong between nodes. */
  readonly troubles: MeshTroubles
  readonly refused: RefusedRecords
  /** Whether the mesh has been met since the start, as far as one must wait for that. */
  readonly met: () => ReadinessItem
}

/** How long a restarted node waits to meet the mesh before it serves from what it knew (ms). */
const patience = 3_000

/** How often connections to peers whose certificate has ended are looked for. */
const expiryCheckEvery = "30 seconds"

export const makeMeshPlane = (
  options: MeshPlaneOptions
): Effect.Effect<MeshPlane, HostError, Scope.Scope | Supervisor> =>
  Effect.gen(function* () {
    const { config, identity, metrics, onDefect, ticker } = options
    const { node } = config
    const self = identity.current.peer
    const scope = yield* Effect.scope
    const runtime = yield* Effect.runtime<never>()
    const runFork = (effect: Effect.Effect<void>): void => {
      Runtime.runFork(runtime)(effect, { scope })
    }
    const admitted = new AdmittedPeers()
    const sessions = new SessionBook({
      now: () => ticker.wall(),
      onSession: options.onSession,
      onEnd: options.onSessionEnd
    })
    const cache = new EnvelopeCache()
    const refusals = yield* RefusalLog.make(metrics)
    const clocks = new PeerClocks(ticker)
    const busy = new BusyPeers(() => ticker.now())
    // Peers may knock as soon as the host listens, before there is a catalogue to ask.
    const late: {
      catalogue?: CatalogueShape
      membership?: MembershipShape
      keeper?: LinkKeeper
      names?: PeerNames
      callBacks?: CallBacks
      connections?: ConnectionKeeper
      renewal?: CertificateRenewal
    } = {}

    const nameOf = (peer: PeerKey) => late.names?.of(peer) ?? peer
    const isKnown = (peer: PeerKey) => (late.keeper?.addressesOf(peer) ?? []).length > 0
    const clockReport = yield* ClockReport.keep({
      clocks,
      metrics,
      nameOf,
      members: () =>
        Array.from(late.catalogue?.current().entries() ?? [], ({ record }) => record.peer),
      onSet: () => late.renewal?.clockSet()
    })

    const host: MeshHostShape = yield* makeMeshHost({
      privateKey: identity.current.privateKey,
      mesh: identity.current.mesh,
      listen: node.listen,
      ...(node.announce === undefined ? {} : { announce: node.announce }),
      maxPending: options.maxPending,
      // Before it is known who has which address, nobody can be called back: they call again.
      ...(options.callsBack && {
        callsBack: (peer) => late.keeper === undefined || (late.callBacks?.instead(peer) ?? false)
      }),
      makeListener: (upgrader, logger) => new RelayListener(upgrader, logger, options.gate),
      encrypter: makeAdmission({
        gate: new HandshakeGate(ticker),
        identity,
        admitted,
        onSession: (certificate, keys) => sessions.made(certificate, keys),
        now: () => ticker.wall(),
        cache: cache.chains,
        isNameTaken: (name, peer) =>
          Array.from(late.catalogue?.current().entries() ?? []).some(
            // One that is dead gave its name free: a host set up anew has a new key.
            ({ record }) =>
              record.name === name &&
              record.peer !== peer &&
              record.state !== "left" &&
              late.membership?.stateOf(record.peer) !== "dead"
          ),
        // Whoever knocks may name any time: strangers have no say in what the time is.
        onClock: (peer, clock) => {
          if (isKnown(peer)) clocks.told(peer, clock)
        },
        onRefused: (refusal) => {
          refusals.add(refusal)
          const { by, clock, code, message, peer, retryAfter } = refusal
          if (peer === undefined) return
          if (by === "peer" && retryAfter !== undefined) {
            busy.told(peer, retryAfter)
            late.connections?.askedToWait(peer, retryAfter)
          }
          if (code !== "expired" && code !== "not_yet_valid") return
          // Of strangers it is an old invite.
          if (!isKnown(peer)) return
          if (clock !== undefined) clocks.told(peer, clock)
          clockReport.add({ peer, what: "certificate", message, byPeer: by === "peer" })
        },
        onRenewed: (renewed) => {
          runFork(
            saveIdentity(node.dataDir, renewed).pipe(
              Effect.catchAll(({ message }) =>
                Effect.logError(`the renewed certificate cannot be stored: ${message}`)
              ),
              Effect.zipRight(Effect.suspend(() => late.catalogue?.resign ?? Effect.void))
            )
          )
        }
      })
    })
    const transport = makeLibp2pTransport(host)
    const addressesOf = (peer: PeerKey): ReadonlyArray<string> =>
      late.keeper?.addressesOf(peer) ?? []
    const keeper = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new ConnectionKeeper({
            ...{ host, ticker, addressesOf, onDefect },
            doubt: () => late.membership?.awareness() ?? 0
          })
      ),
      (it) => Effect.sync(() => it.stop())
    )
    late.connections = keeper
    late.callBacks = new CallBacks({
      ticker,
      isKnown,
      upFor: (peer) => keeper.upFor(peer),
      call: (peer) => keeper.connect(peer)
    })
    const clients = yield* makeMeshRpcClients({ transport, addressesOf })
    const gossip = Context.get(
      yield* Layer.buildWithScope(Layer.provide(layerLibp2p, Layer.succeed(MeshHost, host)), scope),
      Gossip
    )

    const others = () => {
      let count = 0
      for (const { record } of late.catalogue?.current().entries() ?? []) {
        if (record.peer !== self && record.state !== "left") count++
      }
      return count
    }

    const refused = new RefusedRecords()
    const convergence = new Convergence({ clocks, metrics })
    const catalogue = yield* makeCatalogue({
      self,
      name: identity.current.name,
      zone: node.zone,
      software: options.software,
      door: refused.watch(
        makeRecordDoor(identity, {
          cache,
          onCertificate: (certificate) => {
            admitted.refresh(certificate)
            sessions.refresh(certificate)
          },
          onUntimely: ({ peer, message }) => clockReport.add({ peer, what: "record", message })
        })
      ),
      // Alone there is nobody to differ from.
      clock: () => (others() === 0 ? "right" : clocks.verdict),
      connect: connectByRpc(clients),
      neighbours: () => keeper.connectedPeers(),
      onFirstSeen: (record, way) => convergence.firstSeen(record, way),
      onCompared: (peer, result) => convergence.compared(peer, result)
    }).pipe(
      Effect.provide(
        CatalogueStore.layerDisk(node.dataDir, options.trouble).pipe(
          Layer.provide(NodeContext.layer)
        )
      ),
      Effect.provideService(Gossip, gossip)
    )
    late.catalogue = catalogue
    const pings = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Pings({
            transport,
            ticker,
            clocks,
            addressesOf,
            connect: (peer) => keeper.reach(peer)
          })
      ),
      (it) => Effect.sync(() => it.stop())
    )
    const accusations = yield* AccusationLog.make({
      metrics,
      nameOf,
      now: () => ticker.now()
    })
    const membership = yield* makeMembership({
      self,
      name: identity.current.name,
      door: makeStatementDoor(identity, cache, ({ peer, message }) =>
        clockReport.add({ peer, what: "statement", message })
      ),
      port: makeMembershipPort(pings, clients),
      onAccused: accusations.add,
      onGivenUp: (peer) => keeper.disconnect(peer, new Error("it has not answered for too long"))
    }).pipe(Effect.provideService(Gossip, gossip))

    late.membership = membership
    const linkKeeper = new LinkKeeper({
      self,
      connections: keeper,
      bootstrap: options.bootstrap,
      catalogue: catalogue.current,
      subjects: membership.subjects
    })
    late.keeper = linkKeeper

    let met = false
    const startedAt = ticker.now()
    /** A bug of whoever follows the view is its own. */
    const guarded = (run: () => void) => () => contain(onDefect, "a follower of the mesh view", run)
    const viewKeeper = new ViewKeeper({
      self,
      memberOf: membership.stateOf,
      later: (run) => void setImmediate(guarded(run))
    })
    const found = new MeshFindings(membership.stateOf)
    const names = new PeerNames({
      self,
      ownName: () => identity.current.name,
      catalogue: catalogue.current,
      admitted: (peer) => admitted.get(peer)?.name
    })
    late.names = names
    // Each by itself: what breaks in one of them keeps no change from the others.
    const followers: ReadonlyArray<(changes: ReadonlyArray<EntryChange>) => void> = [
      (changes) => names.follow(changes),
      (changes) =>
        membership.changeRecords(
          changes.flatMap(({ after }) => after?.record ?? []),
          changes.flatMap(({ before, after }) =>
            after === undefined && before !== undefined ? [before.record.peer] : []
          )
        ),
      (changes) => linkKeeper.followRecords(changes),
      (changes) => found.records(changes),
      (changes) => viewKeeper.records(changes)
    ]
    yield* Effect.acquireRelease(
      Effect.sync(() => [
        ...followers.map((follow) => catalogue.subscribe((_, changes) => follow(changes))),
        membership.subscribe(() => linkKeeper.follow()),
        membership.subscribe((moved) => {
          for (const peer of moved) if (membership.stateOf(peer) === "alive") keeper.wake(peer)
        }),
        membership.subscribe((moved) => found.members(moved)),
        membership.subscribe((moved) => viewKeeper.members(moved)),
        keeper.onUp((peer) => {
          membership.linkUp(peer)
          // Whoever was away for a moment may have missed gossip, here or there.
          runFork(
            catalogue.syncWith(peer).pipe(
              Effect.tap(() =>
                Effect.sync(() => {
                  met = true
                })
              ),
              Effect.catchAll(({ message }) =>
                Effect.logDebug(`no comparison of catalogues with ${peer}: ${message}`)
              )
            )
          )
        }),
        keeper.onDown((peer) => membership.linkDown(peer))
      ]),
      (stops) =>
        Effect.sync(() => {
          for (const stop of stops) stop()
        })
    )
    // After subscribing, so that no change falls between the two.
    yield* Effect.sync(() => {
      const known = catalogue.current().changesSince(Catalogue.empty)
      for (const follow of followers) follow(known)
      linkKeeper.follow()
      guarded(() => viewKeeper.show())()
    })

    // A connection that is broken may be made again: then the handshake decides, and renews.
    yield* Effect.sync(() => {
      const over = new Map(
        [...admitted.expired(ticker.wall() - defaultSkew), ...sessions.endExpired()].map(
          ({ name, peer }) => [peer, name]
        )
      )
      for (const [peer, name] of over) {
        const reason = `the certificate of ${name} has ended and was not renewed`
        runFork(Effect.logWarning(`${reason}; its connections are closed`))
        keeper.disconnect(peer, new Error(reason))
      }
    }).pipe(
      Effect.delay(expiryCheckEvery),
      Effect.catchAllDefect((defect) => Effect.logError("the check for expiry failed", defect)),
      Effect.forever,
      Effect.forkScoped
    )

    const troubles = new MeshTroubles({
      name: () => identity.current.name,
      found,
      status: catalogue.status,
      conflicts: () => viewKeeper.conflicts,
      refused,
      now: () => ticker.wall()
    })
    yield* tellTroubles(troubles)

    const sessionRenewal = new SessionRenewal({ self, admitted, book: sessions, clients, keeper })
    yield* sessionRenewal.keep
    const renewal = yield* keepCertificate({
      dataDir: node.dataDir,
      identity,
      signers: () => ({
        peers: keeper.connectedPeers(),
        certificateOf: (peer) => admitted.get(peer)
      }),
      client: clients.client,
      onRenewed: Effect.zipRight(catalogue.resign, sessionRenewal.renewAll)
    })

    late.renewal = renewal
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
    const answers = meshAnswers({
      ...{ identity, admitted, catalogue, convergence, membership, dialBack, figures },
      sessions: sessionRenewal,
      show: Effect.zipRight(Effect.sync(guarded(() => viewKeeper.show())), options.applied)
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => pings.listen(membership.answerPing)),
      (stop) => Effect.promise(stop)
    )
    yield* Layer.buildWithScope(serveMeshRpc(transport).pipe(Layer.provide(answers)), scope)

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
    return {
      host,
      keeper,
      sessions,
      sessionRenewal,
      addressesOf,
      admitted,
      clients,
      catalogue,
      membership,
      renewal,
      clocks,
      clockReport,
      convergence,
      figures,
      survey: yield* makePeerSurvey({
        connect: peerPortByRpc(clients),
        isConnected: (peer) => keeper.isUp(peer),
        isBusy: busy.isBusy,
        catalogue: catalogue.current,
        onLooked: (peer, same) => convergence.looked(peer, same)
      }),
      addressChecks,
      troubles,
      refused,
      view: viewKeeper.view,
      met: () => {
        const known = others()
        if (met)
          return {
            name: "mesh",
            ready: true,
            detail: `${known} other ${known === 1 ? "node" : "nodes"} known`
          }
        const invitersLeft = Array.from(options.bootstrap.keys()).every(
          (peer) => catalogue.current().node(peer)?.record.state === "left"
        )
        if (known === 0 && invitersLeft) {
          return { name: "mesh", ready: true, detail: "the only node so far" }
        }
        // What is known from before is good enough to serve from, should nobody answer.
        const patient = ticker.now() - startedAt < patience
        const detail = `no other node has answered yet; ${known} known from before`
        return { name: "mesh", ready: !patient && known > 0, detail }
      },
      nameOf: (peer) => names.of(peer)
    }
  })
