/**
 * One node's catalogue: the behaviour that runs in every node, comparisons of whole catalogues by the
 * mesh's own anti-entropy, and a disk. Records are not signed; what that costs is charged.
 */
import { Effect, Either, type Scheduler } from "effect"
import {
  answerDigest,
  answerVersions,
  answerWanted,
  type SyncPort,
  synchronise
} from "../../mesh/catalogue/AntiEntropy.ts"
import type { Catalogue } from "../../mesh/catalogue/Catalogue.ts"
import {
  type CatalogueAction,
  type CatalogueMessage,
  type CatalogueState,
  catalogueBehaviour
} from "../../mesh/catalogue/CatalogueBehaviour.ts"
import { nodeChanges, settingChanges } from "../../mesh/catalogue/CatalogueChange.ts"
import { eagerAfter, nextComparison, syncTimes } from "../../mesh/catalogue/CatalogueSync.ts"
import type { OwnFacts } from "../../mesh/catalogue/OwnRecord.ts"
import type { CatalogueEntry, NodeEntry, SettingEntry } from "../../mesh/catalogue/RecordEntry.ts"
import { maxAhead } from "../../mesh/catalogue/RecordTime.ts"
import { MeshRpcError } from "../../mesh/host/MeshRpc.ts"
import type { MeshNode, NodeCatalogue } from "./World.ts"

/** What outlives the process. */
export interface Disk {
  epoch: number | undefined
  catalogue: Catalogue
}

/** An answer of the mesh's RPC is waited for so long, ms. */
const rpcPatience = 10_000

/** A record that was signed so long ago was gossip already; so many of one comparison are told on. */
const newsFor = 30_000
const mostToldOn = 4

/** Runs what an effect has ready when it is told to, and nothing at any other time. */
class StepScheduler implements Scheduler.Scheduler {
  readonly #tasks: Array<() => void> = []

  shouldYield(): number | false {
    return false
  }

  scheduleTask(task: () => void): void {
    this.#tasks.push(task)
  }

  drain(): void {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) task()
  }
}

export class CatalogueKeeper implements NodeCatalogue {
  state: CatalogueState
  /** How often an answer brought something, and comparisons that were made. */
  comparisons = 0
  readonly disk: Disk
  readonly #node: MeshNode
  readonly #step: ReturnType<typeof catalogueBehaviour>
  readonly #scheduler = new StepScheduler()
  readonly #underWay = new Set<number>()
  readonly #waiting: Array<MeshNode> = []
  #running = 0
  #eager = 0
  #rounds = 0
  #lookAt = Number.POSITIVE_INFINITY
  #looks = 0

  constructor(node: MeshNode, disk: Disk, state: CatalogueState) {
    this.#node = node
    this.disk = disk
    this.state = state
    this.#step = catalogueBehaviour(
      node.peer,
      (record) => {
        node.loop.charge(node.world.profile.cost.sign)
        return Either.right(node.world.records.seal(record))
      },
      // As pings tell.
      () => (Math.abs(node.skew) < 120_000 ? "right" : "wrong")
    )
  }

  begin(): void {
    const { random } = this.#node.world
    this.#compareIn(syncTimes.every * random())
    this.look()
  }

  #compareIn(wait: number): void {
    const round = ++this.#rounds
    this.#node.later(wait, () => {
      if (round !== this.#rounds) return
      this.#compareWithSomebody()
      this.#compareLater()
    })
  }

  #compareLater(): void {
    this.#compareIn(nextComparison(this.#eager, this.#node.world.random(), syncTimes.every))
  }

  /** Once a second in a node; here when the tick finds something to do, at the latest in a minute. */
  look(): void {
    const { queue } = this.#node.world
    const { catalogue, saveAt, saved, saving } = this.state
    const wait = catalogue === saved || saving ? 60_000 : Math.max(1_000, saveAt - queue.now)
    if (this.#lookAt <= queue.now + wait) return
    this.#lookAt = queue.now + wait
    const look = ++this.#looks
    this.#node.later(wait, () => {
      if (look !== this.#looks) return
      this.#lookAt = Number.POSITIVE_INFINITY
      this.tell({ _tag: "Tick" })
    })
  }

  /** The node says something else of itself from now on. */
  change(change: Partial<OwnFacts>): void {
    this.tell({ _tag: "OwnChanged", change, reply: () => {} })
  }

  tell(message: CatalogueMessage): void {
    const { queue, random, sharing } = this.#node.world
    const before = this.state
    const [state, actions] = this.#step(before, message, {
      now: queue.now,
      wall: this.#node.wall,
      random
    })
    this.state = state
    if (state.catalogue !== before.catalogue) {
      const changes = state.catalogue.allChangesSince(before.catalogue)
      const catalogue = sharing.catalogue(before.catalogue, state.catalogue, changes)
      this.state = { ...state, catalogue }
      this.#node.recordsChanged(nodeChanges(changes))
      if (settingChanges(changes).length > 0) this.#node.trust.follow(catalogue.settings())
    }
    for (const action of actions) this.#perform(action)
    this.look()
  }

  /** It is out. */
  rejudge(held: NodeEntry): void {
    this.tell({ _tag: "Rejudged", held, entry: undefined })
  }

  /** This node says so, and all are to hear it. */
  set(entry: SettingEntry): void {
    this.tell({ _tag: "Received", entry })
    this.#node.gossip.publish(this.#node.world.records.message(entry.bytes))
  }

  /** As at the door: neither what is far ahead of the reader's clock gets in, nor what an outcast says of itself. */
  #admits(entry: CatalogueEntry): boolean {
    const isOut = entry.kind === "node" && this.#node.trust.isOut(entry.record.peer)
    return !isOut && Math.max(entry.epoch, entry.signedAt) - this.#node.wall <= maxAhead
  }

  judge(bytes: Uint8Array): "accept" | "ignore" {
    const entry = this.#node.world.records.open(bytes)
    if (!this.#admits(entry)) return "ignore"
    const outcome = this.state.catalogue.judge(entry)
    if (outcome === "known" || outcome === "stale") return "ignore"
    this.tell({ _tag: "Received", entry })
    return outcome === "full" ? "ignore" : "accept"
  }

  #perform(action: CatalogueAction): void {
    const node = this.#node
    switch (action._tag) {
      case "Announce":
        node.gossip.publish(node.world.records.message(action.entry.bytes))
        return
      case "StoreEpoch":
        this.disk.epoch = action.epoch
        return
      case "Save":
        node.later(5, () => {
          this.disk.catalogue = action.catalogue
          this.tell({ _tag: "Saved", failed: false })
        })
        return
      case "WakeIn":
        node.later(action.delay, () => this.tell({ _tag: "PublishDue" }))
        return
      case "Reply":
        action.reply()
        return
      case "Warn":
        return
    }
  }

  /** Verifies and merges what was met in a comparison; tells on what is news. */
  receive(envelopes: ReadonlyArray<Uint8Array>): number {
    const node = this.#node
    const { cost } = node.world.profile
    let changed = 0
    let toldOn = 0
    for (const bytes of envelopes) {
      const entry = node.world.records.open(bytes)
      const outcome = this.#admits(entry) ? this.state.catalogue.judge(entry) : "stale"
      const isNew = outcome === "added" || outcome === "replaced"
      node.loop.charge(isNew ? cost.verify + cost.record : cost.record)
      if (!isNew) continue
      this.tell({ _tag: "Received", entry })
      changed++
      if (node.wall - entry.signedAt >= newsFor || toldOn >= mostToldOn) continue
      toldOn++
      node.gossip.publish(node.world.records.message(bytes))
    }
    // Others may lack what nobody is told by gossip.
    if (changed > toldOn) {
      const isNews = this.#eager === 0
      this.#eager = syncTimes.sames
      if (isNews) this.#compareLater()
    }
    return changed
  }

  #compareWithSomebody(): void {
    const { nodes, random } = this.#node.world
    const connected = Array.from(this.#node.links.open.keys())
    const index = connected[Math.floor(random() * connected.length)]
    if (index !== undefined) this.compareWith(nodes[index]!)
  }

  /** One with each node at a time, and two in all. */
  compareWith(other: MeshNode): void {
    if (this.#underWay.has(other.index)) return
    this.#underWay.add(other.index)
    this.#waiting.push(other)
    this.#nextComparison()
  }

  #nextComparison(): void {
    if (this.#running >= syncTimes.atOnce) return
    const other = this.#waiting.shift()
    if (other === undefined) return
    this.#running++
    const { life } = this.#node
    const self = {
      current: () => this.state.catalogue,
      receive: (envelopes: ReadonlyArray<Uint8Array>) => Effect.sync(() => this.receive(envelopes))
    }
    const fiber = Effect.runFork(synchronise(self, this.#portTo(other)), {
      scheduler: this.#scheduler
    })
    fiber.addObserver((exit) => {
      if (this.#node.life !== life) return
      this.#running--
      this.#underWay.delete(other.index)
      if (exit._tag === "Success") {
        this.comparisons++
        this.#eager = eagerAfter(this.#eager, exit.value)
      } else this.#eager = eagerAfter(this.#eager, { same: true })
      this.#nextComparison()
    })
    this.#scheduler.drain()
  }

  #portTo(other: MeshNode): SyncPort {
    const { cost, size } = this.#node.world.profile
    const bytesOf = (envelopes: ReadonlyArray<Uint8Array>) =>
      envelopes.reduce((sum, { length }) => sum + length, 0)
    const question = <A>(
      bytes: number,
      answer: (it: NodeCatalogue) => readonly [A, bytes: number, cost: number]
    ): Effect.Effect<A, MeshRpcError> =>
      Effect.async<A, MeshRpcError>((resume) => {
        this.#node.ask<A>(
          other,
          rpcPatience,
          bytes,
          (it, reply) => {
            const [said, length, extra] = answer(it.catalogue)
            it.loop.charge(extra)
            reply(said, length)
          },
          (said) => {
            resume(
              said === undefined
                ? Effect.fail(new MeshRpcError({ code: "unavailable", message: "no answer" }))
                : Effect.succeed(said)
            )
            this.#scheduler.drain()
          }
        )
      })
    return {
      digest: (root) =>
        question(size.ping, ({ state }) => {
          const answer = answerDigest(state.catalogue, root)
          return [answer, answer.same ? size.answer : size.digest, 0]
        }),
      versions: (buckets) =>
        question(size.ping, ({ state }) => {
          const answer = answerVersions(state.catalogue, buckets)
          return [answer, size.answer + answer.length * size.version, answer.length * cost.record]
        }),
      exchange: (wanted, offered) =>
        question(size.ping + wanted.length * size.id + bytesOf(offered), (it) => {
          it.receive(offered)
          const answer = answerWanted(it.state.catalogue, wanted)
          return [answer, size.answer + bytesOf(answer), answer.length * cost.record]
        })
    }
  }
}
