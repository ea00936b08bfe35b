%% What a RabbitMQ node of ours asks instead of epmd: where the other nodes are. It is told of an
%% address of its own for each of them (on loopback a door), so that every link between two nodes can
%% be cut, and no epmd is started. On a port of its own it answers three questions of the harness.
-module(dokkaebi_epmd).

-export([start/0, start_link/0, stop/0, register_node/2, register_node/3, listen_port_please/2,
         port_please/2, port_please/3, address_please/3, names/0, names/1]).
-export([probe/1]).

start() -> ignore.

start_link() -> ignore.

stop() -> ok.

register_node(Name, Port) ->
    register_node(Name, Port, inet).

%% Only the server itself answers: rabbitmq-server starts a short-lived Erlang before it.
register_node(Name, _Port, _Family) ->
    case text(Name) =:= os:getenv("DOKKAEBI_NODE") of
        true -> spawn(?MODULE, probe, [list_to_integer(os:getenv("DOKKAEBI_PROBE"))]);
        false -> ok
    end,
    {ok, 4 + erlang:system_time(millisecond) rem 16#ffffff}.

listen_port_please(Name, _Host) ->
    case address(Name) of
        none -> {ok, 0};
        {_, Port} -> {ok, Port}
    end.

port_please(Name, Host) ->
    port_please(Name, Host, infinity).

port_please(Name, _Host, _Timeout) ->
    case address(Name) of
        none -> noport;
        {_, Port} -> {port, Port, 6}
    end.

address_please(Name, _Host, _Family) ->
    case address(Name) of
        none -> {error, nxdomain};
        {Host, Port} -> {ok, Host, Port, 6}
    end.

names() ->
    names(localhost).

names(_Host) ->
    {ok, []}.

%% DOKKAEBI_DOORS is like "n1=127.0.0.1:12345,n2=127.0.0.1:12346".
address(Name) ->
    Prefix = text(Name) ++ "=",
    Doors = string:lexemes(os:getenv("DOKKAEBI_DOORS", ""), ","),
    case [Door || Door <- Doors, lists:prefix(Prefix, Door)] of
        [Door] ->
            [Host, Port] = string:lexemes(lists:nthtail(length(Prefix), Door), ":"),
            {host(Host), list_to_integer(Port)};
        [] -> none
    end.

host(Text) ->
    {ok, Host} = inet:parse_address(Text),
    Host.

text(Name) when is_atom(Name) -> atom_to_list(Name);
text(Name) -> Name.

%% --- questions: a line is asked, a line is answered ---------------------------------------------

probe(Port) ->
    {ok, Listener} = gen_tcp:listen(Port, [binary, {ip, host(os:getenv("DOKKAEBI_LISTEN"))},
                                           {packet, line}, {active, false}, {reuseaddr, true}]),
    accept(Listener).

accept(Listener) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    Pid = spawn(fun() -> receive go -> answer(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Pid),
    Pid ! go,
    accept(Listener).

answer(Socket) ->
    {ok, Line} = gen_tcp:recv(Socket, 0, 5000),
    Told = try told(string:trim(Line))
           catch _:Why -> ["error ", string:replace(io_lib:format("~0p", [Why]), "\n", " ", all)]
           end,
    gen_tcp:send(Socket, [Told, "\n"]),
    gen_tcp:close(Socket).

%% Whether it runs, how many nodes it sees running, and from how many it has been cut off.
told(<<"status">>) ->
    case rabbit:is_running() of
        true ->
            Partitions = rabbit_node_monitor:partitions(),
            io_lib:format("true ~b ~b", [length(rabbit_nodes:all_running()), length(Partitions)]);
        false ->
            "false 0 0"
    end;
%% The node that leads each queue.
told(<<"leaders">>) ->
    lists:join(" ", [atom_to_list(leader(amqqueue:get_pid(Q))) || Q <- rabbit_amqqueue:list()]);
%% Delete every queue; how many are left.
told(<<"clear">>) ->
    [rabbit_amqqueue:delete(Q, false, false, <<"dokkaebi">>) || Q <- rabbit_amqqueue:list()],
    integer_to_list(length(rabbit_amqqueue:list())).

leader(Pid) when is_pid(Pid) -> node(Pid);
leader({_, Node}) -> Node;
leader(_) -> none.
