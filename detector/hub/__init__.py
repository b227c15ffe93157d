"""Where people look: alerts are stored, shown as they come, judged, and kept with their clips.

`server` is the program, `parts` what it is made of. Each package rests on those before it alone:

    storage      the database, what is read from it and written into it; who may see which place
    access       people, logins, codes; the audit log
    edges        what edge boxes say and are told: alerts, health, keys, zones, pictures
    footage      clips as edges recorded them, and the copies that people may watch
    desk         what is judged next, and how much happens
    evidence     cases and their packs
    watch        what is wrong with the system itself
    notices      who is told of what outside the pages, and how it is sent
    upkeep       retention, backups, salvage of a broken database
    integrations what other systems are told
    pages        what browsers and programs are shown; words in `texts`, shapes in `templates`
"""
