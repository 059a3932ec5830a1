/**
 * What is under way, and can be given up: one thing after the other. What is begun may end before it has
 * returned how to give it up, and the next thing be begun by then; it is that one that is given up.
 */
export class UnderWay {
  #begun = 0
  #isOver = false
  #stop: () => void = nothing

  /** `start` returns how to give it up. Nothing is begun once it was given up. */
  begin(start: () => () => void): void {
    if (this.#isOver) return
    const number = ++this.#begun
    this.#stop = nothing
    const stop = start()
    if (number !== this.#begun) return
    if (this.#isOver) stop()
    else this.#stop = stop
  }

  /** Gives it up, and whatever would come next. */
  stop(): void {
    this.#isOver = true
    this.#stop()
  }
}

const nothing = (): void => undefined
