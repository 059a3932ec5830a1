/** The names of services on this host: a name server, and behind each name a port of its own. */
import { Effect, Runtime, type Scope } from "effect"
import type { DnsConfig } from "../config/DnsConfig.ts"
import { formatHostPort } from "../config/HostPort.ts"
import { DnsForward } from "../dns/DnsForward.ts"
import { serveDns } from "../dns/DnsServer.ts"
import type { NameBook } from "../dns/NameBook.ts"
import { ServiceAddresses } from "../dns/ServiceAddresses.ts"
import { UniqueLocalNames } from "../dns/UniqueLocalNames.ts"
import { Catalogue } from "../mesh/catalogue/Catalogue.ts"
import type { CatalogueShape } from "../mesh/catalogue/CatalogueService.ts"
import type { DataDirError } from "../mesh/keys/KeyFile.ts"
import { parseAddressRange } from "../model/AddressRange.ts"
import type { MeshViewCell } from "../model/MeshView.ts"
import type { ServiceName } from "../model/Names.ts"
import type { MetricRegistry } from "../request/cells/Metrics.ts"
import type { ListenError } from "../request/listener/ListenError.ts"
import { loadAskedNames, saveAskedNames } from "./AskedNames.ts"
import { BridgeListeners } from "./BridgeListeners.ts"
import { NamedPorts } from "./NamedPorts.ts"
import { mostNames, NameListeners, type NameListenersOptions } from "./NameListeners.ts"

export interface MeshNamesOptions
  extends Pick<NameListenersOptions, "open" | "now" | "deadline" | "grpcWeb"> {
  readonly config: DnsConfig
  readonly dataDir: string
  readonly view: MeshViewCell
  readonly catalogue: Pick<CatalogueShape, "current" | "subscribe">
  readonly metrics: MetricRegistry
  readonly warn: (message: string) => void
}

export interface MeshNames {
  /** `host:port` of the name server. */
  readonly address: string
  readonly suffix: string
  /** Other servers are asked for what is none of the mesh's. */
  readonly forwards: boolean
  /** Services that are listened for by their names now. */
  readonly listening: () => number
}

export const makeMeshNames = (
  options: MeshNamesOptions
): Effect.Effect<MeshNames, ListenError | DataDirError, Scope.Scope> =>
  Effect.gen(function* () {
    const { catalogue, config, dataDir, deadline, grpcWeb, metrics, now, open, view, warn } =
      options
    const { forward, suffix, ttl } = config
    const range = parseAddressRange(config.addresses)
    // The config was checked.
    if (typeof range === "string") return yield* Effect.dieMessage(range)
    const addresses = new ServiceAddresses(range)
    const ports = new NamedPorts()
    const runtime = yield* Effect.runtime()
    const asked = new Set(yield* loadAskedNames(dataDir))
    const save = (names: ReadonlyArray<ServiceName>): void => {
      // A service that is away for a moment is remembered, unless there are too many.
      if (asked.size >= mostNames) asked.clear()
      for (const name of names) asked.add(name)
      Runtime.runFork(runtime)(
        Effect.catchAll(saveAskedNames(dataDir, [...asked]), ({ message }) =>
          Effect.logWarning(`names that were asked for are not remembered: ${message}`)
        )
      )
    }
    const listeners = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new NameListeners({
            ...{ addresses, deadline, grpcWeb, now, open, suffix, warn },
            onChange: save
          })
      ),
      (it) => Effect.sync(() => it.stop())
    )
    const sixNames = config.ipv6 === undefined ? undefined : new UniqueLocalNames(config.ipv6)
    const makeSix = (addresses: UniqueLocalNames) =>
      Effect.acquireRelease(
        Effect.sync(
          () =>
            new NameListeners({
              ...{ addresses, deadline, grpcWeb, now, open, suffix, onChange: save },
              warn: (message) =>
                warn(
                  `${message} (ip -6 route add local ${addresses.block} dev lo; sysctl -w net.ipv6.ip_nonlocal_bind=1)`
                )
            })
        ),
        (it) => Effect.sync(() => it.stop())
      )
    const six = sixNames && (yield* makeSix(sixNames))
    const makeBridge = ({ as, listen }: NonNullable<DnsConfig["bridge"]>) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const { host } = listen
          return new BridgeListeners({
            ...{ as, deadline, host, now, open, suffix, warn, onChange: save }
          })
        }),
        (it) => Effect.sync(() => it.stop())
      )
    const bridge = config.bridge && (yield* makeBridge(config.bridge))
    const book: NameBook = {
      find: (name) => {
        const service = view.current.services.get(name)
        if (service === undefined) return undefined
        const { endpoints, protocol } = service
        const able = endpoints.filter(
          ({ draining, healthy, member }) => healthy && !draining && member !== "dead"
        )
        const port = ports.of(name, protocol)
        const detect = protocol === "http" ? ports.detectOf(name) : undefined
        return { name, protocol, port, detect, endpoints: endpoints.length, healthy: able.length }
      },
      nameAt: (address) => addresses.nameAt(address) ?? sixNames?.nameAt(address)
    }
    /** Who was asked for before is listened for, and where it says now. */
    const again = (name: ServiceName): void => {
      const service = asked.has(name) ? book.find(name) : undefined
      // That it cannot be is told.
      if (service?.port === undefined) return
      listeners.reach(service).catch(() => {})
      six?.reach(service).catch(() => {})
      bridge?.reach(service).catch(() => {})
    }
    const add = (name: ServiceName): void => {
      addresses.add(name)
      sixNames?.add(name)
    }
    const subscribe = () => {
      for (const name of view.current.services.keys()) add(name)
      ports.follow(catalogue.current().changesSince(Catalogue.empty))
      for (const name of view.current.services.keys()) again(name)
      return [
        catalogue.subscribe((_, changes) => ports.follow(changes)),
        view.subscribe((_, { gone, services }) => {
          for (const name of gone) {
            addresses.remove(name)
            sixNames?.remove(name)
            listeners.close(name)
            six?.close(name)
            bridge?.close(name)
          }
          for (const { name } of services) add(name)
          for (const { name } of services) again(name)
        })
      ]
    }
    yield* Effect.acquireRelease(Effect.sync(subscribe), (stops) =>
      Effect.sync(() => {
        for (const stop of stops) stop()
      })
    )
    const listen = config.listen.listen
    const bound = yield* serveDns({
      ...{ listen, book, metrics, warn },
      zone: { suffix, range, ttl: ttl / 1_000, ipv6: config.ipv6 },
      reach: (service, family) =>
        family === 6 && six !== undefined ? six.reach(service) : listeners.reach(service),
      forward: forward.length === 0 ? undefined : new DnsForward(forward)
    })
    if (config.bridge !== undefined && bridge !== undefined) {
      yield* serveDns({
        ...{ listen: config.bridge.listen, book, metrics, warn },
        zone: { suffix, range, ttl: ttl / 1_000 },
        reach: (service) => bridge.reach(service),
        forward: forward.length === 0 ? undefined : new DnsForward(forward)
      })
    }
    const forwards = forward.length > 0
    return { address: formatHostPort(bound), suffix, forwards, listening: () => listeners.count }
  })
