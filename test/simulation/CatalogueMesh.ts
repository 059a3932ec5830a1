/**
 * A mesh of catalogue behaviours on a virtual clock: real merging, publishing and anti-entropy,
 * imagined network and disk. Records are not signed; everything else is as in a node.
 */
import { Effect, Either } from "effect"
import {
  answerDigest,
  answerVersions,
  answerWanted,
  type SyncPort,
  type SyncSelf,
  synchronise
} from "../../src/mesh/catalogue/AntiEntropy.ts"
import { Catalogue } from "../../src/mesh/catalogue/Catalogue.ts"
import {
  type CatalogueAction,
  type CatalogueMessage,
  type CatalogueState,
  catalogueBehaviour,
  makeCatalogueState
} from "../../src/mesh/catalogue/CatalogueBehaviour.ts"
import { makeOwnRecord, nextEpoch, type OwnFacts } from "../../src/mesh/catalogue/OwnRecord.ts"
import { type NodeEntry, nodeEntry, nodeKey } from "../../src/mesh/catalogue/RecordEntry.ts"
import { maxAhead } from "../../src/mesh/catalogue/RecordTime.ts"
import { NodeName, type PeerKey } from "../../src/model/Names.ts"
import type { NodeRecord } from "../../src/model/NodeRecord.ts"
import { EventQueue, seededRandom } from "../../src/testing/simulator/EventQueue.ts"
import { peerOf } from "./MembershipMesh.ts"

const wallStart = 1_800_000_000_000

interface Disk {
  epoch: number | undefined
  catalogue: Catalogue
}

interface Node {
  readonly index: number
  readonly peer: PeerKey
  readonly disk: Disk
  state: CatalogueState
  up: boolean
  life: number
  /** Milliseconds that its wall clock is ahead. */
  skew: number
}

const encode = (record: NodeRecord) => new TextEncoder().encode(JSON.stringify(record))
// Written by `encode` in this process.
const decode = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes)) as NodeRecord

const entryOf = (bytes: Uint8Array): NodeEntry => nodeEntry(decode(bytes), [], bytes)

export class CatalogueMesh {
  readonly queue = new EventQueue()
  readonly random: () => number
  readonly nodes: ReadonlyArray<Node>
  loss = 0
  reaches: (from: number, to: number) => boolean = () => true
  /** Every record ever told, by owner, epoch and version. */
  readonly told = new Map<string, string>()
  /** Versions that were told twice with different content. */
  readonly reused: Array<string> = []
  readonly #pace: number

  /** `pace` slows ticks and comparisons down, for runs over days. */
  constructor(size: number, seed: number, pace = 1) {
    this.#pace = pace
    this.random = seededRandom(seed)
    this.nodes = Array.from({ length: size }, (_, index) => ({
      index,
      peer: peerOf(index),
      disk: { epoch: undefined, catalogue: Catalogue.empty },
      state: makeCatalogueState(Catalogue.empty, makeOwnRecord(this.#facts(index, 0), 0)),
      up: false,
      life: 0,
      skew: 0
    }))
    for (const { index } of this.nodes) this.start(index)
  }

  start(index: number): void {
    const node = this.nodes[index]!
    const epoch = nextEpoch(node.disk.epoch, this.#wall(node))
    node.disk.epoch = epoch
    node.state = makeCatalogueState(
      node.disk.catalogue,
      makeOwnRecord(this.#facts(index, 0), epoch)
    )
    node.up = true
    node.life++
    this.change(index, 0)
    this.#every(node, 1_000, () => this.#tell(node, { _tag: "Tick" }))
    this.#every(node, 30_000, () => this.#syncWithSomebody(node))
  }

  /** SIGKILL: what was not on disk is gone. */
  crash(index: number): void {
    this.nodes[index]!.up = false
  }

  /** The node now says this of itself. */
  change(index: number, content: number, state: OwnFacts["state"] = "serving"): void {
    const node = this.nodes[index]!
    const change = { ...this.#facts(index, content), state }
    this.#tell(node, { _tag: "OwnChanged", change, reply: () => {} })
  }

  /** Different catalogues among those that are up; 1 when all agree. */
  opinions(): number {
    const up = this.nodes.filter((node) => node.up)
    return new Set(up.map(({ state }) => Buffer.from(state.catalogue.root()).toString("hex"))).size
  }

  #facts(index: number, content: number): OwnFacts {
    return {
      name: NodeName.make(`node-${index}`),
      software: `${content}`,
      addresses: [],
      services: [],
      state: "serving"
    }
  }

  #wall(node: Node): number {
    return wallStart + this.queue.now + node.skew
  }

  #every(node: Node, interval: number, run: () => void): void {
    const life = node.life
    const paced = interval * this.#pace
    const again = () => {
      if (!node.up || node.life !== life) return
      run()
      this.queue.after(paced * (0.8 + 0.4 * this.random()), again)
    }
    this.queue.after(paced * this.random(), again)
  }

  #tell(node: Node, message: CatalogueMessage): void {
    if (!node.up) return
    // As at the door: what is far ahead of the reader's clock does not get in, its own word apart.
    if (message._tag === "Received" && message.entry.key !== nodeKey(node.peer)) {
      const { epoch, signedAt } = message.entry
      if (Math.max(epoch, signedAt) - this.#wall(node) > maxAhead) return
    }
    const step = catalogueBehaviour(
      node.peer,
      (record) => Either.right(this.#seal(record)),
      // As pings tell.
      () => (Math.abs(node.skew) < 120_000 ? "right" : "wrong")
    )
    const [state, actions] = step(node.state, message, {
      now: this.queue.now,
      wall: this.#wall(node),
      random: this.random
    })
    node.state = state
    for (const action of actions) this.#perform(node, action)
  }

  #seal(record: NodeRecord): NodeEntry {
    const bytes = encode(record)
    const id = `${record.name} ${record.epoch}.${record.version}`
    const content = JSON.stringify({ ...record, signedAt: 0 })
    if ((this.told.get(id) ?? content) !== content) this.reused.push(id)
    this.told.set(id, content)
    return entryOf(bytes)
  }

  #perform(node: Node, action: CatalogueAction): void {
    const life = node.life
    const later = (delay: number, run: () => void) =>
      this.queue.after(delay, () => {
        if (node.up && node.life === life) run()
      })
    switch (action._tag) {
      case "Announce":
        for (const other of this.nodes) {
          if (other === node || this.random() < this.loss) continue
          this.queue.after(1 + 50 * this.random(), () => {
            if (!this.reaches(node.index, other.index)) return
            this.#tell(other, { _tag: "Received", entry: action.entry })
          })
        }
        return
      case "StoreEpoch":
        node.disk.epoch = action.epoch
        return
      case "Save":
        later(5 * this.random(), () => {
          node.disk.catalogue = action.catalogue
          this.#tell(node, { _tag: "Saved", failed: false })
        })
        return
      case "WakeIn":
        later(action.delay, () => this.#tell(node, { _tag: "PublishDue" }))
        return
      case "Reply":
        action.reply()
        return
      case "Warn":
        return
    }
  }

  #selfOf(node: Node): SyncSelf {
    return {
      current: () => node.state.catalogue,
      receive: (envelopes) =>
        Effect.sync(() => {
          const before = node.state.catalogue
          for (const bytes of envelopes) {
            this.#tell(node, { _tag: "Received", entry: entryOf(bytes) })
          }
          return before === node.state.catalogue ? 0 : envelopes.length
        })
    }
  }

  #syncWithSomebody(node: Node): void {
    const able = this.nodes.filter(
      (other) => other !== node && other.up && this.reaches(node.index, other.index)
    )
    const other = able[Math.floor(this.random() * able.length)]
    if (other === undefined) return
    const { current, receive } = this.#selfOf(other)
    const port: SyncPort = {
      digest: (root) => Effect.sync(() => answerDigest(current(), root)),
      versions: (buckets) => Effect.sync(() => answerVersions(current(), buckets)),
      exchange: (wanted, offered) =>
        Effect.map(receive(offered), () => answerWanted(current(), wanted))
    }
    Effect.runSync(Effect.orDie(synchronise(this.#selfOf(node), port)))
  }
}
