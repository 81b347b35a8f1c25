// Joins a live room of inkring and speaks JSON there: who is present, and messages to all. One file without dependencies, an ES
// module for pages. What goes over the wire is in docs/ROOMS.md, "Messages in JSON".

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

/**
 * @param {object} options
 * @param {string} options.url where rooms are, as `ws://127.0.0.1:8000/rooms`
 * @param {string} options.room the name of the room
 * @param {any} options.me what the others are told of this client
 * @param {string} [options.token] what lets it in, where that is needed
 * @param {(state: 'joining' | 'live' | 'waiting' | 'refused', reason: string) => void} options.onState
 * @param {(people: Map<string, any>) => void} options.onPeople the others by their ids, whenever that changes
 * @param {(from: string, data: any) => void} options.onMessage
 * @returns {{ say(data: any): boolean, leave(): void }} `say` tells whether there was a socket to say it to
 */
export function joinRoom({ url, room, me, token, onState, onPeople, onMessage }) {
  const address = `${url}/${encodeURIComponent(room)}`;
  // A token in the query would stand in the logs of proxies.
  const protocols = token ? ['inkring.rooms.json', `bearer.${token}`] : ['inkring.rooms.json'];
  const people = new Map();
  let socket;
  let timer;
  let failures = 0;

  const tell = (message) => {
    if (socket?.readyState !== WebSocket.OPEN) return false;
    socket.send(JSON.stringify(message));
    return true;
  };
  // Whoever comes asks to be answered: the server keeps nothing of this.
  const introduce = (asks) => tell({ type: 'awareness', data: { me, asks } });

  const heard = {
    init() {
      failures = 0;
      people.clear();
      onPeople(people);
      onState('live', '');
      introduce(true);
    },
    awareness({ clientId, data }) {
      people.set(clientId, data?.me);
      onPeople(people);
      if (data?.asks) introduce(false);
    },
    'peer-disconnected'({ connectionId }) {
      people.delete(connectionId);
      onPeople(people);
    },
    custom({ from, data }) {
      onMessage(from, data);
    },
  };

  function connect() {
    onState('joining', '');
    socket = new WebSocket(address, protocols);
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (Object.hasOwn(heard, message.type)) heard[message.type](message);
    };
    socket.onclose = ({ code, reason }) => {
      people.clear();
      onPeople(people);
      // From 4400 to 4499 coming back cannot help.
      if (code >= 4400 && code < 4500) return onState('refused', reason);
      onState('waiting', reason);
      const wait = Math.min(FIRST_WAIT_MS * 2 ** failures++, LONGEST_WAIT_MS);
      // Not all at once, when a server comes back.
      timer = setTimeout(connect, wait * (0.5 + Math.random() / 2));
    };
  }

  connect();
  return {
    say: (data) => tell({ type: 'custom', data }),
    leave() {
      clearTimeout(timer);
      socket.onclose = null;
      socket.close(1000);
    },
  };
}
