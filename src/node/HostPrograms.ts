/**
 * What programs of this host serve by themselves, all of it: the one that this node is in, and those that
 * are attached to it. It is offered beside what the config says, by the same checks and limits.
 */
import { Effect, type Scope } from "effect"
import type { LocalService } from "../model/LocalService.ts"
import type { Log } from "../model/Log.ts"
import type { ServiceName } from "../model/Names.ts"
import type { SessionFacts } from "../model/Session.ts"
import type { Ticker } from "../model/Time.ts"
import type { ToPlane } from "../request/PlaneMessages.ts"
import type { ProgramOffer, ServeRefused } from "../schema/ProgramOfferSchema.ts"
import type { AskedProgram } from "./AskedProgram.ts"
import { type Attached, AttachedPrograms } from "./AttachedPrograms.ts"
import type { Offer } from "./Offer.ts"
import { newSecret } from "./ProgramDoor.ts"
import { type NodeOffer, whyNotServed, withPrograms } from "./ProgramServices.ts"
import type { RequestPlanes } from "./RequestPlanes.ts"
import { SilentPrograms } from "./SilentPrograms.ts"

export interface HostProgramsOptions {
  readonly node: string
  /** What the program serves that this node is in. */
  readonly own: ReadonlyArray<ProgramOffer>
  /** Those that were attached to the life of the mesh thread before this one. */
  readonly before: ReadonlyArray<Attached>
  /** For the next one. */
  readonly onChange: (attached: ReadonlyArray<Attached>) => void
  /** What the config offers. */
  readonly services: () => ReadonlyArray<LocalService>
  /** What this node's certificate grants. */
  readonly rights: () => SessionFacts
  readonly ticker: Ticker
  readonly log: Log
  /** Tells the request threads. */
  readonly post: (message: ToPlane) => void
}

/**
 * Programs that were attached to a mesh thread that has crashed are back by then; those that are not, and
 * that no request thread reaches, are gone. The others are looked at again as much later.
 */
const returnPatience = "5 seconds"

export class HostPrograms {
  readonly #options: HostProgramsOptions
  readonly attached: AttachedPrograms
  #own: ReadonlyArray<ProgramOffer>
  #serve: Offer["serve"] = () => Effect.void

  constructor(options: HostProgramsOptions) {
    this.#options = options
    this.#own = options.own
    const { log, ticker } = options
    const silent = new SilentPrograms({ log, ticker })
    this.attached = new AttachedPrograms({
      secret: newSecret,
      taken: (service) =>
        new Set(this.#own.flatMap((one) => (one.service === service ? [one.id] : []))),
      onSilence: (program, isSilent) => silent.changed(program, isSilent),
      onGone: (id) => silent.gone(id)
    })
    this.attached.restore(options.before)
  }

  /** All that programs serve. */
  offers(): ReadonlyArray<NodeOffer> {
    return [...this.#own, ...this.attached.offers()]
  }

  /** The program that this node is in, and how to ask how its actors fare. */
  asked(ask: AskedProgram["ask"] | undefined): ReadonlyArray<AskedProgram> {
    const services = this.#own.map(({ service }) => service)
    return ask === undefined ? [] : [{ program: null, services, ask }]
  }

  /** Keeps what is offered in step, until the scope closes. */
  follow(
    offer: Pick<Offer, "serve">,
    planes: Pick<RequestPlanes, "followPrograms">
  ): Effect.Effect<void, never, Scope.Scope> {
    this.#serve = offer.serve
    planes.followPrograms({
      reach: (program, thread, reached) => this.attached.reach(program, thread, reached),
      lose: (thread) => this.attached.lose(thread),
      offer: this.offer
    })
    if (this.attached.count === 0) return Effect.void
    this.#tell(true)
    const giveUp = Effect.suspend(() => {
      if (!this.attached.giveUp()) return Effect.void
      this.tell()
      return this.offer
    })
    const untilNoneIsAway = Effect.delay(giveUp, returnPatience).pipe(
      Effect.repeat({ while: () => this.attached.someAreAway })
    )
    return Effect.asVoid(Effect.forkScoped(untilNoneIsAway))
  }

  /** Tells the request threads who is attached. */
  tell(): void {
    this.#tell(false)
  }

  #tell(sayReached: boolean): void {
    this.#options.post({ type: "programs", programs: this.attached.known(), sayReached })
    this.#options.onChange(this.attached.all())
  }

  /** Tells the mesh what is served. Done when it knows. */
  readonly offer: Effect.Effect<void> = Effect.suspend(() => {
    this.#options.onChange(this.attached.all())
    return this.#serve(this.offers())
  })

  /** All that the program serves which this node is in. */
  serveOwn(offers: ReadonlyArray<ProgramOffer>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#own = offers
      return this.offer
    })
  }

  /** By what is served now, with what was accepted a moment ago. */
  whyNotServed(service: ServiceName): ServeRefused | undefined {
    const { node, rights, services } = this.#options
    return whyNotServed({
      ...{ service, node, rights: rights() },
      services: withPrograms(services(), this.offers())
    })
  }
}
