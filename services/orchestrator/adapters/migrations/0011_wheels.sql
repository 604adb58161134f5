-- Wheels that packages need besides what engines have. Their content lies in pieces by digest, as that of packages does.

create table package_wheels (
    digest         text   not null references packages on delete cascade,
    wheel          text   not null,
    name           text   not null,
    version        text   not null,
    file           text   not null,
    size_bytes     bigint not null,
    unpacked_bytes bigint not null,
    primary key (digest, wheel)
);
create index package_wheels_of on package_wheels (wheel);
