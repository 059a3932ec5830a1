/**
 * What a further connection to one program needs: a place, of those that the host may have at that program, and a
 * socket, of those that the node may have open.
 */
import { noRoom } from "../../model/SocketFailure.ts"
import { type Keeper, type SocketLane, unlimitedSockets } from "../socket/SocketBudget.ts"
import { type ConnectionPlaces, type ConnectionUser, OwnConnectionPlaces } from "./Places.ts"

export interface ConnectionRoomOptions {
  /** Default: `most` and `mostWaiting` of this endpoint alone. */
  readonly places?: ConnectionPlaces | undefined
  /** Default: without a limit. */
  readonly sockets?: SocketLane | undefined
}

export class ConnectionRoom {
  readonly places: ConnectionPlaces
  readonly sockets: SocketLane
  readonly #user: ConnectionUser & Keeper
  /** What it lacked when it last found none is a socket of the node's, and no place. */
  #lacksSocket = false

  /** `user` has the connections, and hears when there may be room for further ones. */
  constructor(
    user: ConnectionUser & Keeper,
    options: ConnectionRoomOptions,
    most: number,
    mostWaiting: number
  ) {
    this.#user = user
    this.places = options.places ?? new OwnConnectionPlaces(most, mostWaiting)
    this.places.keep(user)
    this.sockets = options.sockets ?? unlimitedSockets()
    this.sockets.keep(user)
  }

  /** False: one of the two is missing, and nothing is taken. */
  take(): boolean {
    this.#lacksSocket = false
    if (!this.places.take()) return false
    if (this.sockets.take()) return true
    this.#lacksSocket = true
    this.places.putBack()
    return false
  }

  /** Whether there is any or not: what is to be done once more. */
  takeAnyway(): void {
    this.places.takeAnyway()
    this.sockets.takeAnyway()
  }

  give(): void {
    this.places.give()
    this.sockets.give()
  }

  /** Requests wait for something else than room. */
  wantNone(): void {
    this.#lacksSocket = false
    this.places.wantNone()
  }

  /** For places it waits as long as a request does; the user's own connections are seen to by itself. */
  wait(): void {
    if (this.#lacksSocket) this.sockets.wait(this.#user)
    else this.sockets.waitNoMore(this.#user)
  }

  /** What waits goes on waiting. */
  keepNoMore(): void {
    this.sockets.keepNoMore(this.#user)
    this.places.keepNoMore()
  }

  /** What it lacked, to be put behind what there is; empty when that was a place. */
  get lack(): string {
    return this.#lacksSocket ? ` (${noRoom(this.sockets)})` : ""
  }
}
