/**
 * Records that the door refused: counted by reason, the last of each kept for people. They come by
 * gossip and by comparison, so one bad record is met again and again.
 */
import { Either } from "effect"
import type { RecordDoor } from "./RecordDoor.ts"
import type { RecordRefused } from "./RecordRefused.ts"

export interface RefusedKind {
  readonly count: number
  readonly last: RecordRefused
  /** Wall clock of the last one, ms. */
  readonly at: number
}

export class RefusedRecords {
  readonly #kinds = new Map<RecordRefused["code"], RefusedKind>()

  get kinds(): ReadonlyMap<RecordRefused["code"], RefusedKind> {
    return this.#kinds
  }

  /** The same door, watched. Own records are not counted: their owner hears of it at once. */
  watch(door: RecordDoor): RecordDoor {
    return {
      seal: door.seal,
      recall: door.recall,
      admit: (bytes, now) => {
        const admitted = door.admit(bytes, now)
        if (Either.isLeft(admitted)) this.#note(admitted.left, now)
        return admitted
      }
    }
  }

  #note(last: RecordRefused, at: number): void {
    this.#kinds.set(last.code, { count: (this.#kinds.get(last.code)?.count ?? 0) + 1, last, at })
  }
}
