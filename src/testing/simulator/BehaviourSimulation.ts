/**
 * Pure behaviours on a virtual clock: as many actors as one likes, a network between them that is slow, and
 * cut where a test says so, and crashes. Equal seeds give equal runs.
 *
 * What it imagines is what actors of programs have: a message to a host that is cut off or down is lost and
 * nobody is told; one that is on its way arrives in the order of its delay; the state is saved with each step,
 * and a crash takes what the actor meant to do later.
 */
import type { Moment, PureActor } from "../../mesh/actor/Behaviour.ts"
import { EventQueue, seededRandom } from "./EventQueue.ts"
import { Network, type NetworkOptions } from "./Network.ts"

/** What an actor can do about the simulated world. */
export interface ActorWorld<Message> {
  /** Name of the actor. */
  readonly self: string
  /** Milliseconds since the run began. */
  readonly now: number
  /** Over the network; to itself at once. An unknown name throws. */
  readonly send: (to: string, message: Message) => void
  /** To itself, after so many milliseconds, unless it crashes before. */
  readonly later: (millis: number, message: Message) => void
}

export interface BehaviourSimulationOptions<State, Message, Action> {
  /** Names of the actors. */
  readonly actors: ReadonlyArray<string>
  readonly behaviour: PureActor<State, Message, Action>
  /** Does what the behaviour says. */
  readonly interpret: (action: Action, world: ActorWorld<Message>) => void
  /** Default: 50 ± 20 ms one way, nothing is lost. What `loss` loses comes later, as by TCP. */
  readonly network?: NetworkOptions
  readonly seed: number
}

interface Simulated<State> {
  readonly index: number
  readonly name: string
  state: State
  /** Of this life; what was meant for another one is nothing to it. */
  life: number
  isUp: boolean
}

/** Milliseconds since 1970 at which runs begin. */
const epoch = 1_700_000_000_000

export class BehaviourSimulation<State, Message, Action> {
  readonly queue = new EventQueue()
  readonly network: Network
  readonly #options: BehaviourSimulationOptions<State, Message, Action>
  readonly #actors: ReadonlyMap<string, Simulated<State>>
  /** Of the run's seed, uniform in [0, 1). */
  readonly random: () => number
  /** Messages that came to nobody. */
  lost = 0

  constructor(options: BehaviourSimulationOptions<State, Message, Action>) {
    this.#options = options
    this.random = seededRandom(options.seed)
    this.network = new Network(options.network ?? {}, () => "", this.random)
    const { initial } = options.behaviour
    this.#actors = new Map(
      options.actors.map((name, index) => [
        name,
        { index, name, state: initial, life: 0, isUp: true }
      ])
    )
    for (const actor of this.#actors.values()) this.#begin(actor)
  }

  /** Milliseconds since the run began. */
  get now(): number {
    return this.queue.now
  }

  /** As it was saved last. */
  state(name: string): State {
    return this.#actor(name).state
  }

  /** From outside: the actor is given it now, if it is up. */
  tell(name: string, message: Message): void {
    this.#handle(this.#actor(name), message)
  }

  advance(millis: number): void {
    this.queue.advance(millis)
  }

  /** It is down for so many milliseconds, and begins again from what was saved last. */
  crash(name: string, millis: number): void {
    const actor = this.#actor(name)
    const life = ++actor.life
    actor.isUp = false
    this.queue.after(millis, () => {
      // It has crashed again meanwhile.
      if (actor.life !== life) return
      actor.isUp = true
      this.#begin(actor)
    })
  }

  /** Nothing passes from one actor to another where it says so. Returns how to end it. */
  cut(cut: (from: string, to: string) => boolean): () => void {
    const { actors } = this.#options
    return this.network.cut((from, to) => cut(actors[from]!, actors[to]!))
  }

  #begin(actor: Simulated<State>): void {
    const { begin } = this.#options.behaviour
    if (begin !== undefined) this.#take(actor, begin(actor.state, this.#moment))
  }

  #handle(actor: Simulated<State>, message: Message): void {
    if (actor.isUp)
      this.#take(actor, this.#options.behaviour.step(actor.state, message, this.#moment))
    else this.lost++
  }

  #take(actor: Simulated<State>, [state, actions]: readonly [State, ReadonlyArray<Action>]): void {
    actor.state = state
    if (actions.length === 0) return
    const world = this.#worldOf(actor)
    for (const action of actions) this.#options.interpret(action, world)
  }

  #worldOf(actor: Simulated<State>): ActorWorld<Message> {
    const { life } = actor
    const later = (millis: number, message: Message): void =>
      this.queue.after(millis, () => {
        if (actor.life === life) this.#handle(actor, message)
      })
    return {
      self: actor.name,
      now: this.now,
      later,
      send: (to, message) => {
        const other = this.#actor(to)
        if (other === actor) later(0, message)
        else this.#carry(actor, other, message)
      }
    }
  }

  #carry(from: Simulated<State>, to: Simulated<State>, message: Message): void {
    this.queue.after(this.network.delay(from.index, to.index), () => {
      if (this.network.isCut(from.index, to.index)) this.lost++
      else this.#handle(to, message)
    })
  }

  get #moment(): Moment {
    return { now: this.now, wall: epoch + this.now, random: this.random }
  }

  #actor(name: string): Simulated<State> {
    const actor = this.#actors.get(name)
    if (actor !== undefined) return actor
    throw new Error(`there is no actor ${name} in this simulation: it has ${this.#actors.size}`)
  }
}
