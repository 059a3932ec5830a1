/**
 * A mesh of programs in one thread, without nodes: what each of them needs to serve and to call (MeshProgram,
 * MeshCaller, MeshDirectory), and what a test needs to make it hard for them: hosts that hear late, hosts that
 * cannot be reached, hosts that are gone.
 */
import { Effect, Layer, Runtime } from "effect"
import { ActorReporters } from "../api/ActorReporters.ts"
import { MeshCaller } from "../api/MeshCaller.ts"
import { directoryOf, MeshDirectory } from "../api/MeshDirectory.ts"
import { MeshProgram, type ServedHealth, type ServedService } from "../api/MeshProgram.ts"
import { hostCaller } from "../model/Caller.ts"
import type { Call, Dispatch, RequestStream, ResponseReceiver } from "../model/Exchange.ts"
import type { Fault } from "../model/Fault.ts"
import { type EndpointView, MeshViewSource } from "../model/MeshView.ts"
import { NodeName, PeerKey, type ServiceName } from "../model/Names.ts"
import { refuse } from "../model/RefusedExchange.ts"

interface Offered {
  readonly id: string
  readonly served: ServedService
  health: ServedHealth
}

export class MemoryHost {
  readonly name: string
  readonly peer: PeerKey
  readonly view = new MeshViewSource()
  readonly offered: Array<Offered> = []
  /** That it is in; before it is started. */
  zone: string | undefined
  /** Hears of no changes. */
  deaf = false
  /** Calls to it are not carried, and those under way end. */
  cut = false
  /** As membership says of it. */
  member: EndpointView["member"] = "alive"
  readonly running = new Set<(fault: Fault) => void>()
  /** What its program says of its actors. */
  readonly actors = new ActorReporters()

  constructor(name: string) {
    this.name = name
    this.peer = PeerKey.make(
      name
        .replaceAll(/[^1-9A-HJ-NP-Za-km-z]/g, "")
        .repeat(24)
        .slice(0, 24)
    )
  }
}

/** Returns how to call it off. */
type After = (millis: number, then: () => void) => () => void

export class MemoryMesh {
  readonly #hosts = new Map<string, MemoryHost>()
  /** Calls that were carried, as `a>b`. */
  readonly calls: Array<string> = []
  /** Those that are not, so far, as `a>b`: the one has no link to the other yet. */
  readonly unlinked = new Set<string>()

  host(name: string): MemoryHost {
    const known = this.#hosts.get(name)
    if (known !== undefined) return known
    const made = new MemoryHost(name)
    this.#hosts.set(name, made)
    return made
  }

  /** All that are not deaf see what there is. */
  tell(): void {
    for (const host of this.#hosts.values()) if (!host.deaf) this.show(host)
  }

  /** It sees what there is now, and no more than that when it is deaf. */
  show(to: MemoryHost): void {
    const services = new Map<ServiceName, Array<EndpointView>>()
    for (const host of this.#hosts.values()) {
      for (const { health, id, served } of host.offered) {
        const { service, weight } = served
        const all = services.get(service) ?? []
        services.set(service, all)
        all.push({
          key: `${host.peer}/${service}/${id}`,
          peer: host.peer,
          node: NodeName.make(host.name),
          zone: host.zone,
          endpoint: id,
          healthy: health.healthy,
          draining: false,
          member: host.member,
          weight,
          local: host === to
        })
      }
    }
    to.view.set(
      new Map(
        Array.from(services, ([name, endpoints]) => [
          name,
          { name, protocol: "http", endpoints: endpoints.sort((a, b) => (a.key < b.key ? -1 : 1)) }
        ])
      )
    )
  }

  /** Membership has given it up, and nobody reaches it. What runs there goes on. */
  lose(name: string): void {
    const host = this.host(name)
    host.cut = true
    for (const fail of [...host.running]) fail(this.#fault("upstream_reset", host, true))
  }

  layer(name: string): Layer.Layer<MeshCaller | MeshDirectory | MeshProgram> {
    const host = this.host(name)
    this.show(host)
    const { peer } = host
    const identity = hostCaller(NodeName.make(name))
    const caller = Effect.map(Effect.runtime<never>(), (runtime) => {
      const after: After = (millis, then) => {
        const fiber = Runtime.runFork(runtime)(Effect.sleep(millis))
        fiber.addObserver(({ _tag }) => _tag === "Success" && then())
        return () => fiber.unsafeInterruptAsFork(fiber.id())
      }
      const dispatch: Dispatch = (call, receiver) => this.#carry(host, call, receiver, after)
      return { dispatch, peer, identity }
    })
    return Layer.mergeAll(
      Layer.effect(MeshCaller, caller),
      Layer.succeed(MeshDirectory, directoryOf(host.view, host.zone)),
      Layer.succeed(MeshProgram, {
        node: () => name,
        drainDeadline: () => 30_000,
        reportActors: (reporter) => host.actors.add(reporter),
        mayServe: () => Effect.void,
        offer: (served) =>
          Effect.map(
            Effect.acquireRelease(
              Effect.sync(() => this.#offer(host, served)),
              (offered) =>
                Effect.sync(() => {
                  host.offered.splice(host.offered.indexOf(offered), 1)
                  this.tell()
                })
            ),
            (offered) => ({
              endpoint: offered.id,
              setHealth: (health) =>
                Effect.sync(() => {
                  offered.health = health
                  this.tell()
                })
            })
          )
      })
    )
  }

  #offer(host: MemoryHost, served: ServedService): Offered {
    const same = host.offered.filter((one) => one.served.service === served.service)
    const id = same.length === 0 ? "program" : `program-${same.length + 1}`
    const offered = { id, served, health: served.health }
    host.offered.push(offered)
    this.tell()
    return offered
  }

  #carry(from: MemoryHost, call: Call, receiver: ResponseReceiver, after: After): RequestStream {
    const seen = from.view.current.services.get(call.service)?.endpoints ?? []
    const endpoint = seen.find(({ key }) => call.only === undefined || key === call.only)
    const to = [...this.#hosts.values()].find(({ peer }) => peer === endpoint?.peer)
    if (endpoint === undefined || to === undefined) {
      return refuse(receiver, this.#fault("no_healthy_endpoint", from, false))
    }
    const served = to.offered.find(
      ({ id, served: { service } }) => service === call.service && id === endpoint.endpoint
    )
    const isUnlinked = this.unlinked.has(`${from.name}>${to.name}`)
    if (to.cut || (from.cut && from !== to) || isUnlinked || served === undefined) {
      return refuse(receiver, this.#fault("upstream_connect", to, false))
    }
    this.calls.push(`${from.name}>${to.name}`)
    let over = false
    let stopTimer = (): void => undefined
    const end = (): void => {
      over = true
      to.running.delete(fail)
      stopTimer()
    }
    const told: ResponseReceiver = {
      onInfo: (head) => over || receiver.onInfo(head),
      onHead: (head) => over || receiver.onHead(head),
      onData: (chunk) => over || receiver.onData(chunk),
      onEnd: (trailers) => {
        if (over) return
        end()
        receiver.onEnd(trailers)
      },
      onFault: (fault) => {
        if (over) return
        end()
        receiver.onFault(fault)
      },
      onWritable: () => over || receiver.onWritable()
    }
    const fail = (fault: Fault): void => told.onFault(fault)
    to.running.add(fail)
    const stream = served.served.dispatch(
      { ...call, only: undefined, endpoint: endpoint.endpoint, caller: from.peer },
      told
    )
    if (call.deadline !== undefined && !over) {
      const late = this.#fault("upstream_timeout", to, true)
      stopTimer = after(call.deadline, () => {
        stream.cancel(late)
        fail(late)
      })
    }
    return {
      write: (chunk) => stream.write(chunk),
      end: (trailers) => stream.end(trailers),
      resume: () => stream.resume(),
      cancel: (fault) => {
        end()
        stream.cancel(fault)
      }
    }
  }

  #fault(code: Fault["code"], { name }: MemoryHost, sent: boolean): Fault {
    return { code, message: `${name}: ${code}`, node: name, service: undefined, sent }
  }
}
